"""Fan-out with connections that only remember what was written to them."""

import numpy as np
import orjson
import pytest

from derivasys.publish.gateway import REQUESTS_BURST, REQUESTS_PER_S, Gateway
from derivasys.wire.feed import TABLES, State
from derivasys.wire.table import Field, Layout, Table

LAYOUT = Layout([Field(("vol",), 1)])


def state(version: int, ccy: str = "BTC") -> State:
    one = Table(LAYOUT, (("x",),), np.array([[float(version)]]))
    return State(ccy, version, 200 * version, {}, dict.fromkeys(TABLES, one), {"rmse": version})


class Wire:
    """Stands where a Connection would."""

    def __init__(self, **query: str) -> None:
        self.query = query
        self.is_slow = False
        self.is_open = True
        self.descriptor = -1
        self.audiences: list = []
        self.written: list[bytes] = []
        self.deflates = False
        self.why_dropped = ""
        self.remote = "test"
        self.messages: list[dict] = []
        self.closed: tuple[int, str] | None = None
        self.aborted = False

    def write(self, frames: bytes) -> None:
        while frames:
            size, skip = frames[1] & 127, 2
            if size == 126:
                size, skip = int.from_bytes(frames[2:4], "big"), 4
            self.messages.append(orjson.loads(frames[skip : skip + size]))
            frames = frames[skip + size :]

    def write_rest(self, frames: bytes, sent: int) -> None:
        self.written.append(frames)
        self.write(frames)

    def write_whole(self, frames: bytes) -> None:
        self.write(frames)

    def send_text(self, payload: bytes) -> None:
        self.messages.append(orjson.loads(payload))

    def close(self, code: int, reason: str = "") -> None:
        self.closed = (code, reason)

    def abort(self) -> None:
        self.aborted = True

    def take(self) -> list[str]:
        kinds = [message["type"] for message in self.messages]
        self.messages.clear()
        return kinds


SNAPSHOTS = [
    "svi_surface_snapshot",
    "smile_levels_snapshot",
    "svi_tenor_snapshot",
    "svi_through_snapshot",
    "surface_fit_status",
]
PATCHES = ["svi_surface_patch", "smile_levels_patch", "svi_tenor_patch", "svi_through_patch", "surface_fit_status"]


class Bench:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.gateway = Gateway(lambda: self.now_s, lambda: 7)
        for ccy in ("BTC", "ETH"):
            self.gateway.add_feed(ccy, "e")

    def join(self, **query: str) -> Wire:
        wire = Wire(**query)
        self.gateway.on_open(wire)
        return wire

    def say(self, wire: Wire, **message) -> None:
        self.gateway.on_text(wire, orjson.dumps(message))


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.gateway.publish(state(1))
    bench.gateway.publish(state(1, "ETH"))
    return bench


def test_a_newcomer_gets_snapshots_then_patches(bench):  # [W8]
    wire = bench.join(ccy="BTC")
    assert wire.take() == SNAPSHOTS
    bench.gateway.publish(state(2))
    assert wire.take() == PATCHES


def test_what_nobody_follows_is_not_made(bench, monkeypatch):
    made = []
    monkeypatch.setattr("derivasys.wire.compact.patch", lambda channel, *states: made.append(channel))
    wire = bench.join()
    bench.say(wire, type="unsubscribe", channels=["levels", "tenors", "through"])
    bench.gateway.publish(state(2))
    assert made == ["surface"]
    bench.say(wire, type="subscribe", channels=["tenors"])
    bench.gateway.publish(state(3))
    assert made == ["surface", "surface", "tenors"]


def test_without_a_wish_the_first_currency_is_shown(bench):
    assert {message["ccy"] for message in bench.join().messages} == {"BTC"}


def test_only_the_chosen_currency_arrives(bench):
    wire = bench.join(ccy="ETH")
    wire.take()
    bench.gateway.publish(state(2))
    assert wire.take() == []
    bench.gateway.publish(state(2, "ETH"))
    assert wire.take() == PATCHES


def test_switching_currency(bench):
    wire = bench.join(ccy="BTC")
    wire.take()
    bench.say(wire, type="select_currency", ccy="ETH")
    assert {message["ccy"] for message in wire.messages} == {"ETH"}
    assert wire.take() == SNAPSHOTS
    bench.gateway.publish(state(2))
    assert wire.take() == []


def test_resync_sends_one_snapshot(bench):
    wire = bench.join()
    wire.take()
    bench.say(wire, type="resync", channel="levels", ccy="BTC")
    assert wire.take() == ["smile_levels_snapshot"]


def test_a_currency_that_comes_later_greets_who_waits():
    bench = Bench()
    wire, other = bench.join(ccy="ETH"), bench.join()
    assert wire.take() == ["error"]
    bench.gateway.publish(state(1, "ETH"))
    assert wire.take() == SNAPSHOTS
    assert other.take() == SNAPSHOTS, "who named none gets the first there is"


def test_only_subscribed_channels_arrive(bench):
    wire = bench.join()
    bench.say(wire, type="unsubscribe", channels=["levels", "fit"])
    wire.take()
    bench.gateway.publish(state(2))
    assert wire.take() == ["svi_surface_patch", "svi_tenor_patch", "svi_through_patch"]


def test_rate_classes_have_their_own_pace_and_sequence(bench):
    fast, slow = bench.join(), bench.join()
    bench.say(fast, type="subscribe", rate_ms=50)
    bench.say(slow, type="subscribe", rate_ms=1000)
    fast.take(), slow.take()
    for version in range(2, 12):
        bench.gateway.publish(state(version))
    levels = {
        name: [m for m in wire.messages if m["type"] == "smile_levels_patch"]
        for name, wire in (("fast", fast), ("slow", slow))
    }
    assert [m["version"] for m in levels["fast"]] == list(range(2, 12))
    assert [m["version"] for m in levels["slow"]] == [5, 10]
    for messages in levels.values():
        numbers = [m["seq"] for m in messages]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_slow_client_gets_no_patches_and_a_snapshot_when_it_drains(bench):  # [W23]
    wire, quick = bench.join(), bench.join()
    wire.take(), quick.take()
    wire.is_slow = True
    for version in (2, 3):
        bench.gateway.publish(state(version))
    assert wire.take() == []
    assert len(quick.take()) == 2 * len(PATCHES), "the others are not held up"
    wire.is_slow = False
    bench.gateway.on_drain(wire)
    assert {message["version"] for message in wire.messages} == {3}
    assert wire.take() == SNAPSHOTS
    bench.gateway.publish(state(4))
    assert wire.take() == PATCHES
    assert bench.gateway.skipped == 2


def test_bad_requests_are_answered_and_non_json_closes(bench):
    wire = bench.join()
    wire.take()
    bench.say(wire, type="dance")
    assert wire.take() == ["error"]
    bench.gateway.on_text(wire, b"\xff")
    assert wire.closed == (1007, "not JSON")


def test_status_goes_to_everybody_who_follows_it(bench):
    wire, deaf = bench.join(), bench.join()
    bench.say(deaf, type="unsubscribe", channels=["status"])
    wire.take(), deaf.take()
    bench.gateway.publish_status(b'{"type":"status"}')
    assert (wire.take(), deaf.take()) == (["status"], [])
    assert bench.join().take()[0] == "status"


def test_who_leaves_is_forgotten_and_its_class_stops(bench):
    wire = bench.join()
    bench.gateway.on_close(wire)
    assert bench.gateway.clients == 0
    assert bench.gateway.feeds["BTC"].publish() == {}


def test_clients_are_bounded(bench, monkeypatch):
    monkeypatch.setattr("derivasys.publish.gateway.CLIENTS_MAX", 1)
    bench.join()
    assert bench.join().closed == (1013, "too many clients")


def test_currencies_and_variants_have_their_own_bytes(bench):
    plain, squeezed, narrow = bench.join(), bench.join(), bench.join()
    bench.say(narrow, type="unsubscribe", channels=["levels", "tenors", "through", "fit", "status"])
    squeezed.write = lambda frames: None
    squeezed.deflates = True
    bench.gateway._enrol(squeezed, bench.gateway._clients[squeezed])
    bench.gateway.publish(state(2))
    assert [len(wire.written) for wire in (plain, squeezed, narrow)] == [1, 1, 1], "one write a cycle"
    assert plain.written[0].startswith(narrow.written[0])
    assert len(plain.written[0]) > len(narrow.written[0])


def test_two_of_a_variant_get_the_very_same_object(bench):
    first, second = bench.join(), bench.join()
    bench.gateway.publish(state(2))
    assert len(first.written) == len(second.written) == 1
    assert first.written[0] is second.written[0]


def test_too_many_messages_close_the_connection(bench):
    wire = bench.join()
    for _ in range(int(REQUESTS_BURST)):
        bench.say(wire, type="ping")
    assert wire.closed is None
    bench.say(wire, type="ping")
    assert wire.closed == (1008, "too many requests")
    other = bench.join()
    bench.now_s += 10
    for _ in range(int(10 * REQUESTS_PER_S)):
        bench.say(other, type="ping")
    assert other.closed is None


def test_groups_are_forgotten_with_their_last_member(bench):
    wires = [bench.join() for _ in range(3)]
    bench.say(wires[0], type="subscribe", rate_ms=50, ccys=["ETH"])
    for wire in wires:
        bench.gateway.on_close(wire)
    assert bench.gateway._audiences == {}
    assert bench.gateway._snapshots == {}


def test_dropped_clients_are_counted_and_told_of_once_a_second(bench, caplog):
    wires = [bench.join() for _ in range(50)]
    for wire in wires:
        wire.why_dropped = "has not read for 30 s"
        bench.gateway.on_close(wire)
    assert bench.gateway.stuck == 50
    assert len(caplog.records) == 1
