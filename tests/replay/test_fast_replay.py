"""A replay at full speed gives the same states and bytes however many processes share the currencies."""

import multiprocessing
import os
import signal

import pytest
from bench._traffic import record_traffic

from derivasys import fast_replay
from derivasys.decode import DECODERS, coin_of
from derivasys.fast_replay import replay_fast, share_out
from derivasys.messages import Quote
from derivasys.record.replayer import opened
from derivasys.record.segments import Kind, SegmentError, read
from derivasys.recordings import Span


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Some seconds of four venues and four currencies."""
    folder = tmp_path_factory.mktemp("traffic")
    record_traffic(folder, 8.0, 400.0)
    return Span(folder)


@pytest.fixture(scope="module")
def alone(recording, tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "messages"
    with path.open("wb") as out:
        summary = replay_fast(recording, out, 250, 1)
    return summary, path.read_bytes()


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_any_number_of_processes_gives_the_same_bytes(recording, alone, tmp_path, processes):
    with (tmp_path / "messages").open("wb") as out:
        summary = replay_fast(recording, out, 250, processes)
    expected, messages = alone
    assert summary.processes == processes
    assert (tmp_path / "messages").read_bytes() == messages
    for field in ("frames", "surfaces", "messages", "sha256", "recorded_s"):
        assert getattr(summary, field) == getattr(expected, field)
    assert expected.surfaces > 4 * 25
    assert {ccy for ccy in ("BTC", "ETH", "SOL", "XRP") if f'"{ccy}"'.encode() in messages} == {
        "BTC", "ETH", "SOL", "XRP",
    }  # fmt: skip


def test_the_sum_is_of_states_not_of_messages(recording, alone):
    assert replay_fast(recording, None, 250, 2).sha256 == alone[0].sha256
    assert replay_fast(recording, None, 500, 2).sha256 != alone[0].sha256


def test_there_are_no_more_processes_than_currencies(recording):
    assert replay_fast(recording, None, 4000, 64).processes == 4


@pytest.mark.parametrize(
    ("ccys", "processes", "shares"),
    [
        ((), 8, [()]),
        (("BTC",), 8, [("BTC",)]),
        (("BTC", "ETH", "SOL", "XRP"), 1, [("BTC", "ETH", "SOL", "XRP")]),
        (("BTC", "ETH", "SOL", "XRP", "BNB"), 2, [("BTC", "XRP", "BNB"), ("ETH", "SOL")]),
    ],
)
def test_the_largest_currencies_go_to_different_processes(ccys, processes, shares):
    assert share_out(ccys, processes) == shares


def test_a_frame_said_to_be_of_one_coin_is_of_no_other(recording):
    """What `coin_of` says decides what a process never decodes."""
    decoders = {venue: make() for venue, make in DECODERS.items()}
    venues = {}
    said = dict.fromkeys(("deribit", "okx", "bybit", "binance"), 0)
    frames = dict(said)
    for record in read(recording.folder):
        if record.kind is Kind.OPENED:
            venues[record.connection] = opened(record).venue
        elif record.kind in (Kind.RECEIVED, Kind.LISTING):
            venue = venues[record.connection]
            coin = coin_of(venue, record.payload)
            events = decoders[venue].decode(record.payload, record.recv_ns)
            is_quote = any(isinstance(event, Quote) for event in events)
            frames[venue] += is_quote
            if coin is not None:
                said[venue] += is_quote
                assert {event.ccy for event in events} <= {coin.decode().upper()}
                assert record.kind is Kind.RECEIVED
    assert said == frames, "of every quote's frame it is known"
    assert min(frames.values()) > 50


def test_a_process_that_dies_is_no_short_recording(recording, monkeypatch):
    play = fast_replay._play

    def dying(*arguments, **options):
        for at, made in enumerate(play(*arguments, **options)):
            if at == 5 and multiprocessing.parent_process() is not None:
                os.kill(os.getpid(), signal.SIGKILL)
            yield made

    monkeypatch.setattr(fast_replay, "_play", dying)
    with pytest.raises(SegmentError, match="ended before the recording"):
        replay_fast(recording, None, 250, 2)
    assert not multiprocessing.active_children()


def test_what_is_wrong_with_a_recording_is_told_by_its_process(recording, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in recording.folder.iterdir():
        content = bytearray(path.read_bytes())
        if path.suffix == ".dvs":
            content[-100] ^= 1
        (damaged / path.name).write_bytes(content)
    with pytest.raises(SegmentError, match="damaged block at byte"):
        replay_fast(Span(damaged), None, 250, 2)
    assert not multiprocessing.active_children()
