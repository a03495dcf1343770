"""Breaking a guard makes the simulation fail: each of these runs holds as the code is, and breaks without one line of it."""

import inspect
import sys
import textwrap

import pytest

from derivasys.calibrate import Rules
from derivasys.connect.deribit import DeribitSession
from derivasys.decode import bybit, okx
from derivasys.estimate.chain import Chain
from derivasys.fit.quotes import QuoteRules
from derivasys.pipeline import Pipeline
from derivasys.testing.simulation import Broken, Fault, Kind, Simulation

S = 10**9
RATE = 60.0


def one(kind, venue, lasts_s, size=0.0):
    return lambda start_ns: [Fault(kind, venue, start_ns + 15 * S, start_ns + int((15 + lasts_s) * S), size)]


def without(monkeypatch, function, *changes):
    """Replace lines of a method by others, in its source."""
    module = sys.modules[function.__module__]
    owner = getattr(module, function.__qualname__.rpartition(".")[0])
    source = textwrap.dedent(inspect.getsource(function))
    for line, instead in changes:
        assert source.count(line) == 1, f"{function.__qualname__} has no such line any more: {line}"
        source = source.replace(line, instead)
    names: dict = {}
    exec(source, vars(module), names)  # a mutation of our own code
    monkeypatch.setattr(owner, function.__name__, names[function.__name__])


NEVER = "if False:"
GUARDS = {
    "the gap rule of OKX": (
        one(Kind.GAP, "okx", 12.0),
        okx.Decoder._book,
        [("elif book is not None and book.last_id == row.prev_seq_id:", "elif book is not None:")],
        "was never quoted|before what was held|disagree",
    ),
    "the gap rule of Bybit": (
        one(Kind.GAP, "bybit", 12.0),
        bybit.Decoder._book,
        [("elif book is not None and row.u == book.last_id + 1:", "elif book is not None:")],
        "was never quoted|before what was held|disagree",
    ),
    "older quotes do not overwrite newer ones": (
        one(Kind.REORDER, "deribit", 40.0),
        Chain._apply_quote,
        [("elif event_ns < before_ns:", "elif False:")],
        "before what was held already",
    ),
    "what comes late is old": (
        one(Kind.SLOW, "okx", 200.0),
        Chain._apply_quote,
        [("as_of_ns = event_ns", "pass")],
        r"replaced 1\d\d s ago",
    ),
    "silence ends a connection": (
        one(Kind.HALF_OPEN, "deribit", 5.0),
        DeribitSession.tick,
        [
            ("if now_ns - self._last_frame_ns > SILENCE_S_MAX * _NS:", NEVER),
            ("self._channels.check(now_ns)", "pass"),
        ],
        "not back .* deribit is silent",
    ),
    "undecodable bytes are counted": (
        one(Kind.CORRUPT, "okx", 12.0),
        Pipeline.push,
        [("self.rejects[venue, error.reason.value] += 1", "pass")],
        "neither read nor counted",
    ),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_the_run_breaks(guard, monkeypatch):
    faults, function, changes, says = GUARDS[guard]
    Simulation(1, ccys=("ETH",), rate=RATE, faults=faults).run()
    without(monkeypatch, function, *changes)
    with pytest.raises(Broken, match=says):
        Simulation(1, ccys=("ETH",), rate=RATE, faults=faults).run()


def test_without_the_stale_limit_the_run_breaks():
    gone = one(Kind.GONE, "okx", 180.0)
    Simulation(1, ccys=("ETH",), faults=gone).run()
    endless = Rules(quotes=QuoteRules(staleness_s_max=1e9))
    with pytest.raises(Broken, match="12. s ago was fitted to"):
        Simulation(1, ccys=("ETH",), faults=gone, rules=endless).run()
