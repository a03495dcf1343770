import os
import resource
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derivasys.record import segments
from derivasys.record.recorder import Recorder
from derivasys.record.segments import BlockWriter, Kind, Record, SegmentError, blocks, read

RECORDS = st.lists(
    st.tuples(
        st.integers(0, 2**62), st.integers(0, 9), st.sampled_from([Kind.RECEIVED, Kind.SENT]), st.binary(max_size=300)
    ),
    max_size=60,
)


def write(folder, rows, *, flush_every=10**9) -> None:
    writer = BlockWriter(folder)
    for number, row in enumerate(rows):
        writer.add(*row)
        if number % flush_every == flush_every - 1:
            writer.flush()
    writer.flush()
    writer.close()


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.integers(1, 20))
def test_what_was_written_is_read(tmp_path_factory, rows, flush_every):
    folder = tmp_path_factory.mktemp("recording")
    write(folder, rows, flush_every=flush_every)
    if rows:
        assert list(read(folder)) == [Record(*row) for row in rows]


def rows(count: int, size: int = 100) -> list:
    return [(10**9 * number, 0, Kind.RECEIVED, os.urandom(size)) for number in range(count)]


def test_blocks_and_segments_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 5000)
    written = rows(200)
    write(tmp_path, written)
    assert len(list(tmp_path.glob("*.dvs"))) > 3
    assert list(read(tmp_path)) == [Record(*row) for row in written]


def test_a_second_run_goes_on_in_new_segments(tmp_path):
    write(tmp_path, rows(3))
    write(tmp_path, rows(3))
    assert [path.name for path in sorted(tmp_path.glob("*.dvs"))] == ["000000.dvs", "000001.dvs"]
    assert len(list(read(tmp_path))) == 6


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_block_cut_off_ends_the_segment_and_the_rest_is_read(tmp_path, cut):
    write(tmp_path, rows(10), flush_every=2)
    segment = tmp_path / "000000.dvs"
    os.truncate(segment, segment.stat().st_size - cut)
    assert len(list(read(tmp_path))) == 8


@pytest.mark.parametrize("what", ["missing", "short", "torn"])
def test_the_index_can_be_missing_or_short(tmp_path, what):
    write(tmp_path, rows(10), flush_every=2)
    index = tmp_path / "000000.dvi"
    if what == "missing":
        index.unlink()
    else:
        os.truncate(index, 48 if what == "short" else 53)
    assert len(list(read(tmp_path))) == 10


def test_damage_is_told_with_its_place(tmp_path):
    write(tmp_path, rows(10), flush_every=5)
    segment = tmp_path / "000000.dvs"
    content = bytearray(segment.read_bytes())
    content[200] ^= 1
    segment.write_bytes(content)
    with pytest.raises(SegmentError, match="damaged block at byte 0"):
        list(read(tmp_path))
    with pytest.raises(SegmentError, match="no recording there"):
        blocks(tmp_path / "nowhere")


def test_a_span_of_time_still_has_what_came_before_and_matters(tmp_path):
    second = 10**9
    written = [
        (0, 0, Kind.OPENED, b"{}"), (second, 0, Kind.LISTING, b"[]"), (2 * second, 0, Kind.RECEIVED, b"a"),
        (3 * second, 0, Kind.RECEIVED, b"b"), (4 * second, 0, Kind.RECEIVED, b"c"),
    ]  # fmt: skip
    write(tmp_path, written, flush_every=1)
    assert [record.payload for record in read(tmp_path, 3 * second, 4 * second)] == [b"{}", b"[]", b"b"]


def test_blocks_before_a_span_are_read_only_for_what_they_hold_of_terms(tmp_path, monkeypatch):
    second = 10**9
    written = [(at * second, 0, Kind.LISTING if at == 3 else Kind.RECEIVED, b"%d" % at) for at in range(9)]
    write(tmp_path, written, flush_every=1)
    assert [block.has_terms for block in blocks(tmp_path)] == [at == 3 for at in range(9)]
    opened = []
    read_block = segments.read_block
    monkeypatch.setattr(segments, "read_block", lambda block: opened.append(block.first_ns) or read_block(block))
    assert [record.payload for record in read(tmp_path, 7 * second)] == [b"3", b"7", b"8"]
    assert opened == [3 * second, 7 * second, 8 * second]


def test_a_block_of_feeds_with_clocks_years_apart_spans_them_all(tmp_path):
    write(tmp_path, [(50, 0, Kind.RECEIVED, b"late"), (5, 1, Kind.RECEIVED, b"early"), (51, 0, Kind.RECEIVED, b"")])
    (block,) = blocks(tmp_path)
    assert (block.first_ns, block.last_ns) == (5, 51)
    assert [record.payload for record in read(tmp_path, None, 10)] == [b"early"]


def test_a_damaged_header_is_told_as_damage(tmp_path):
    write(tmp_path, rows(10))
    segment = tmp_path / "000000.dvs"
    content = bytearray(segment.read_bytes())
    content[9] ^= 1  # the size of the raw bytes
    segment.write_bytes(content)
    with pytest.raises(SegmentError, match="damaged block at byte 0"):
        list(read(tmp_path))


KILLED = """
import os, sys, time
from pathlib import Path
from derivasys.record.recorder import Recorder
from derivasys.record.segments import Kind
recorder = Recorder(Path(sys.argv[1]))
number = recorder.open(0, "deribit", 0, ("BTC",))
for at in range(5000):
    recorder.add(at, number, Kind.RECEIVED, b"x" * 100)
recorder.tick(0.0)
recorder.tick(1.0)
for at in range(5000, 5100):
    recorder.add(at, number, Kind.RECEIVED, b"unflushed")
os.kill(os.getpid(), 9)
"""


def test_after_kill_9_all_is_there_up_to_the_last_flush(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [record.recv_ns for record in read(tmp_path) if record.kind is Kind.RECEIVED] == list(range(5000))


def test_a_full_disk_stops_recording_with_an_alarm_and_nothing_else(tmp_path, caplog):
    """RLIMIT_FSIZE makes the kernel refuse writes as a full disk does."""
    recorder = Recorder(tmp_path)
    number = recorder.open(0, "deribit", 0, ("BTC",))
    recorder.flush()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        for at in range(20_000):
            recorder.add(at, number, Kind.RECEIVED, os.urandom(64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert recorder.state == "stopped"
    assert "large" in recorder.detail
    assert "stopped" in caplog.text
    assert recorder.lost + recorder.records == 20_001, "each record is counted as kept or as lost"
    assert len(list(read(tmp_path))) == recorder.records > 0, "what counts as kept is read"
    recorder.close()
