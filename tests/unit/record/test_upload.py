"""Finished segments go to S3 (a moto server) and are deleted here; what cannot be sent stays."""

import logging
from pathlib import Path

import boto3
import pytest
from tests.aws import made, served

from derivasys.record.recorder import Recorder
from derivasys.record.segments import Kind, read
from derivasys.record.upload import Uploads

RUN = "20260313T190000Z-host-1"


@pytest.fixture(scope="module")
def s3():
    with served():
        yield boto3.client("s3")


def keys(s3, bucket):
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def record(folder: Path, *payloads: bytes) -> Recorder:
    """Return a recorder that wrote one segment for each payload, the last not finished."""
    recorder = Recorder(folder)
    for at, payload in enumerate(payloads):
        if at:
            recorder.end_segment()
        recorder.add(at, 0, Kind.RECEIVED, payload)
        recorder.flush()
    return recorder


async def test_finished_segments_are_moved_and_make_a_recording_there(s3, tmp_path):
    made(s3, "moved")
    recorder = record(tmp_path / "here" / RUN, b"one", b"two", b"three")
    uploads = Uploads(tmp_path / "here", "s3://moved/raw", lambda: recorder.segment)
    assert await uploads.send()
    assert keys(s3, "moved") == [
        f"raw/{RUN}/{number}.{end}" for number in ("000000", "000001") for end in ("dvi", "dvs")
    ]
    assert sorted(path.name for path in (tmp_path / "here" / RUN).iterdir()) == ["000002.dvi", "000002.dvs"]
    recorder.close()
    uploads.end()
    await uploads.run()
    assert list((tmp_path / "here" / RUN).iterdir()) == []
    back = tmp_path / "back"
    back.mkdir()
    for key in keys(s3, "moved"):
        s3.download_file("moved", key, str(back / Path(key).name))
    assert [each.payload for each in read(back)] == [b"one", b"two", b"three"]
    assert uploads.sent == 3


async def test_what_an_earlier_run_left_is_sent_first(s3, tmp_path):
    made(s3, "left")
    record(tmp_path / "20260312T000000Z-host-1", b"left").close()
    recorder = record(tmp_path / RUN, b"one", b"two")
    uploads = Uploads(tmp_path, "s3://left", lambda: recorder.segment)
    assert [path.parent.name[:8] for path in uploads.waiting()] == ["20260312", "20260313"]
    assert await uploads.send()
    assert f"{RUN}/000000.dvs" in keys(s3, "left")
    assert "20260312T000000Z-host-1/000000.dvs" in keys(s3, "left")


async def test_what_cannot_be_sent_stays_and_goes_later(s3, tmp_path, caplog):
    recorder = record(tmp_path / RUN, b"one", b"two", b"three")
    uploads = Uploads(tmp_path, "s3://later/raw", lambda: recorder.segment)
    with caplog.at_level(logging.WARNING, "derivasys.record"):
        assert not await uploads.send()
        assert not await uploads.send()
    assert "NoSuchBucket" in uploads.failure
    assert len(caplog.records) == 1  # told once
    assert len(list(uploads.waiting())) == 2
    made(s3, "later")
    assert await uploads.send()
    assert uploads.failure == ""
    assert list(uploads.waiting()) == []
