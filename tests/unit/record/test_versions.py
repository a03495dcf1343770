"""What was listed when: a replay reads each message with the terms that the recording had been told by then."""

import orjson
import pytest

from derivasys.pipeline import Pipeline
from derivasys.record.recorder import Recorder
from derivasys.record.replayer import Replay, surfaces
from derivasys.record.segments import read

S = 10**9
START_NS = 1_782_000_000 * S
SYMBOL = "BTC-USD-261225-100000-C"


def listing(multiplier, tick):
    row = {
        "instType": "OPTION", "instId": SYMBOL, "instFamily": "BTC-USD", "uly": "BTC-USD", "ctMult": multiplier, "ctVal": "1",
        "ctValCcy": "BTC", "settleCcy": "BTC", "expTime": "1798185600000", "stk": "100000", "optType": "C", "state": "live",
        "tickSz": tick, "lotSz": "1", "minSz": "1",
    }  # fmt: skip
    return orjson.dumps({"code": "0", "msg": "", "data": [row]})


def ticker(at_ns):
    row = {
        "instId": SYMBOL,
        "bidPx": "0.05",
        "bidSz": "300",
        "askPx": "0.06",
        "askSz": "300",
        "ts": str(at_ns // 10**6),
    }
    return orjson.dumps({"arg": {"channel": "tickers", "instId": SYMBOL}, "data": [row]})


@pytest.fixture
def folder(tmp_path):
    """Record a contract of 0.01 coins that becomes one of 0.1 a minute later, quoted every second."""
    recorder = Recorder(tmp_path / "run")
    tap = recorder.tap("okx", 0, ("BTC",))
    tap.opened(START_NS)
    tap.listing(listing("0.01", "0.0001"), START_NS)
    for second in range(1, 121):
        now_ns = START_NS + second * S
        if second == 60:
            tap.listing(listing("0.1", "0.0005"), now_ns)
        tap.received(ticker(now_ns), now_ns)
    recorder.close()
    return tmp_path / "run"


def terms_at(folder, from_s, to_s):
    """Return size and tick as a replay from one second to another leaves them."""
    replaying = Replay(lambda ccys: Pipeline(ccys=ccys))
    for record in read(folder, START_NS + from_s * S, START_NS + to_s * S):
        replaying.apply(record)
    chain = replaying.pipelines[0].chains["BTC"]
    return chain.bid_size[0], chain.tick[0]


@pytest.mark.parametrize(("from_s", "to_s"), [(0, 59), (30, 60)])
def test_before_the_change_the_terms_are_those_of_before(folder, from_s, to_s):
    assert terms_at(folder, from_s, to_s) == (pytest.approx(3.0), 0.0001)


@pytest.mark.parametrize(("from_s", "to_s"), [(0, 61), (0, 121), (90, 121)])
def test_after_the_change_they_are_those_of_then(folder, from_s, to_s):
    assert terms_at(folder, from_s, to_s) == (pytest.approx(30.0), 0.0005)


def test_both_versions_are_in_one_replay(folder):
    sizes = {round(float(surface.board.bid_size[0]), 6) for surface in surfaces(folder)}
    assert sizes >= {3.0, 30.0}
