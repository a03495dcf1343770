"""The local Deribit without sockets: subscriptions, heartbeats, limits, errors and faults.

Behaviour and timings are the venue's as documented (docs.deribit.com) or seen on the wire; time is
a virtual clock's.
"""

from itertools import pairwise
from typing import Any

import orjson
import pytest

from derivasys.clock import VirtualClock
from derivasys.testing.deribit import Faults, Venue
from derivasys.testing.deribit.session import Session
from derivasys.testing.deribit_names import expiry_ms
from derivasys.testing.market import ReplayMarket, SimulatedMarket
from derivasys.testing.recordings import load_shipped

CHAIN = load_shipped("BTC")
SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
NEAR = "ticker.BTC-14MAR26-71000-C.100ms"
FAR = "ticker.BTC-25DEC26-250000-C.100ms"


class Client:
    """A session of a venue, with the clock it lives on."""

    def __init__(self, venue: Venue, clock: VirtualClock) -> None:
        self.venue, self.clock = venue, clock
        self.session: Session = venue.connect(clock.now_ns())
        self._id = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Make a call and return its reply; notifications stay in the session."""
        self._id += 1
        request = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        return self.send(orjson.dumps(request))

    def send(self, text: bytes) -> dict[str, Any]:
        before = self.session.take()
        self.venue.receive(self.session, text, self.clock.now_ns())
        reply, *rest = self.session.take()
        self.session.out = before + rest
        out: dict[str, Any] = orjson.loads(reply)
        return out

    def subscribe(self, *channels: str) -> Any:
        return self.call("public/subscribe", channels=channels)["result"]

    def wait(self, seconds: float, step_ms: int = 20) -> list[dict[str, Any]]:
        """Let time pass; return what arrives."""
        for _ in range(round(seconds * 1000 / step_ms)):
            self.venue.tick(self.clock.advance(step_ms * MS_NS))
        return [orjson.loads(payload) for payload in self.session.take()]


@pytest.fixture
def client() -> Client:
    return make_client()


def make_client(faults: Faults | None = None, rate: float = 5_000.0) -> Client:
    venue = Venue([SimulatedMarket(CHAIN, 1, rate)], seed=1, faults=faults)
    return Client(venue, VirtualClock(CHAIN.instant_ns))


def of(messages: list[dict[str, Any]], channel: str) -> list[Any]:
    """Return the data of a channel's notifications."""
    return [m["params"]["data"] for m in messages if m.get("params", {}).get("channel") == channel]


# --- subscriptions ---


def test_the_reply_envelope(client: Client) -> None:
    reply = client.call("public/get_time")
    assert reply["result"] == CHAIN.instant_ns // MS_NS
    assert reply["usOut"] - reply["usIn"] == reply["usDiff"] > 0
    assert reply["testnet"] is False
    assert (reply["jsonrpc"], reply["id"]) == ("2.0", 1)


def test_unknown_channels_are_left_out_of_the_acknowledgement_without_error(client: Client) -> None:
    bad = [
        "ticker.BTC-1JAN20-1-C.100ms",
        "ticker.BTC-14MAR26-71000-C.50ms",
        "ticker.btc-14mar26-71000-c.100ms",
        "deribit_price_index.doge_usd",
        "trades.option.DOGE.100ms",
        "nonsense",
    ]
    assert client.subscribe(*bad) == []
    assert sorted(client.subscribe(NEAR, *bad, FAR)) == sorted([NEAR, FAR])


def test_the_acknowledgement_is_in_no_particular_order(client: Client) -> None:
    channels = [f"ticker.{s}.100ms" for s in client.venue.markets[0].board.symbols[:50]]
    accepted = client.subscribe(*channels)
    assert accepted != channels
    assert sorted(accepted) == sorted(channels)


def test_one_raw_channel_fails_the_whole_request(client: Client) -> None:
    error = client.call("public/subscribe", channels=[NEAR, NEAR.replace("100ms", "raw")])["error"]
    assert error["code"] == 13778
    assert error["message"] == "raw_subscriptions_not_available_for_unauthorized"
    assert of(client.wait(1.0), NEAR) == []


def test_a_subscriber_gets_the_ticker_at_once_and_no_second_one_for_asking_again(
    client: Client,
) -> None:
    assert client.subscribe(NEAR) == [NEAR]
    assert len(of([orjson.loads(p) for p in client.session.take()], NEAR)) == 1
    assert client.subscribe(NEAR) == [NEAR]
    assert client.session.take() == []


def test_unsubscribing_first_brings_a_new_snapshot(client: Client) -> None:
    client.subscribe(NEAR)
    client.session.take()
    assert client.call("public/unsubscribe", channels=[NEAR, FAR])["result"] == [NEAR]
    assert of(client.wait(1.0), NEAR) == []
    client.subscribe(NEAR)
    assert len(of([orjson.loads(p) for p in client.session.take()], NEAR)) == 1


def test_unsubscribe_all(client: Client) -> None:
    client.subscribe(NEAR, FAR, "deribit_price_index.btc_usd")
    assert client.call("public/unsubscribe_all")["result"] == "ok"
    client.session.take()
    assert client.wait(2.0) == []


@pytest.mark.parametrize(("interval", "least_ms"), [("100ms", 100), ("agg2", 1000)])
def test_a_ticker_comes_at_most_once_an_interval(interval: str, least_ms: int) -> None:
    client = make_client(rate=18_000.0)
    channel = NEAR.replace("100ms", interval)
    client.subscribe(channel)
    arrivals = []
    for _ in range(500):
        client.venue.tick(client.clock.advance(20 * MS_NS))
        arrivals += [client.clock.now_ns() // MS_NS for _ in client.session.take()]
    gaps = [b - a for a, b in pairwise(arrivals[1:])]
    assert min(gaps) >= least_ms
    assert len(arrivals) >= 8_000 / least_ms


def test_a_ticker_comes_only_on_a_change() -> None:
    client = make_client(rate=50.0)
    client.subscribe(FAR)
    data = of(client.wait(120.0, 100), FAR)
    stamps = [d["timestamp"] for d in data]
    assert len(set(stamps)) == len(stamps) < 60


def test_two_clients_get_the_same_bytes() -> None:
    one = make_client()
    two = Client(one.venue, one.clock)
    for client in (one, two):
        client.subscribe(NEAR, FAR)
        client.session.take()
    for _ in range(100):
        one.venue.tick(one.clock.advance(20 * MS_NS))
    payloads = one.session.take()
    assert payloads == two.session.take()
    assert len(payloads) > 10


def test_a_client_that_left_gets_nothing(client: Client) -> None:
    client.subscribe(NEAR)
    client.venue.disconnect(client.session)
    client.session.take()
    assert client.wait(1.0) == []


def test_a_quote_comes_only_when_best_bid_or_offer_change(client: Client) -> None:
    channel = "quote.BTC-14MAR26-71000-C"
    client.subscribe(channel)
    data = of(client.wait(30.0), channel)
    best = [(d["best_bid_price"], d["best_bid_amount"], d["best_ask_price"], d["best_ask_amount"])
            for d in data]  # fmt: skip
    assert len(best) > 10
    assert all(a != b for a, b in pairwise(best[1:]))


def test_an_incremental_ticker_adds_up_to_the_ticker(client: Client) -> None:
    channel = "incremental_ticker.BTC-14MAR26-71000-C"
    client.subscribe(channel)
    (first,) = of(client.wait(0.02), channel)
    assert first["type"] == "snapshot"
    state = {name: value for name, value in first.items() if name != "type"}
    changes = 0
    for _ in range(500):
        for change in of(client.wait(0.02), channel):
            assert change.pop("type") == "change"
            assert len(change) < len(first) - 1
            changes += 1
            state |= change
            whole = client.call("public/ticker", instrument_name=state["instrument_name"])
            assert state == whole["result"]
    assert 8 <= changes <= 10


def test_index_marks_and_prints(client: Client) -> None:
    channels = [
        "deribit_price_index.btc_usd",
        "markprice.options.btc_usd",
        "trades.option.BTC.100ms",
        "trades.option.any.agg2",
        "estimated_expiration_price.btc_usd",
    ]
    assert len(client.subscribe(*channels)) == 5
    messages = client.wait(20.0)
    index = of(messages, channels[0])
    assert 18 <= len(index) <= 21
    assert set(index[0]) == {"timestamp", "price", "index_name"}
    marks = of(messages, channels[1])
    assert all(0.0 < mark["iv"] < 5.0 for mark in marks[-1])  # a fraction, not percent
    assert len(marks[-1]) == 964
    prints = [p for batch in of(messages, channels[2]) for p in batch]
    later = [p for batch in of(messages, channels[3]) for p in batch]
    assert later == prints[: len(later)]
    assert len(prints) >= 3
    assert all(p["direction"] in ("buy", "sell") and p["amount"] > 0 for p in prints)
    assert all(isinstance(p["trade_id"], str) for p in prints)
    assert of(messages, channels[4])[0]["is_estimated"] is False


def test_lives_of_contracts_at_the_roll() -> None:
    client = make_client(rate=100.0)
    state, creation = "instrument.state.option.BTC", "instrument.creation.option.any"
    gone = "BTC-14MAR26-71000-C"
    client.subscribe(state, creation, NEAR)
    roll_ns = expiry_ms("14MAR26") * MS_NS
    client.venue.tick(client.clock.advance(roll_ns - SECOND_NS - client.clock.now_ns()))
    client.session.take()
    messages = client.wait(8.0)
    states = of(messages, state)
    assert [s["state"] for s in states if s["instrument_name"] == gone] == [
        "settlement",
        "delivered",
    ]
    created = of(messages, creation)
    assert created
    assert {c["expiration_timestamp"] for c in created} == {expiry_ms("18MAR26")}
    assert [s["state"] for s in states if s["instrument_name"] == created[0]["instrument_name"]] == [
        "created",
        "open",
    ]
    last = of(messages, NEAR)[-1]
    assert last["state"] == "delivered"
    assert last["estimated_delivery_price"] == "expired"
    fresh = f"ticker.{created[0]['instrument_name']}.100ms"
    assert client.subscribe(fresh, f"quote.{gone}") == [fresh]


# --- heartbeats ---


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [m["params"]["type"] for m in messages if m.get("method") == "heartbeat"]


def test_a_silent_client_is_closed_ten_seconds_after_a_test_request(client: Client) -> None:
    assert client.call("public/set_heartbeat", interval=10)["result"] == "ok"
    assert "test_request" not in kinds(client.wait(12.4))
    assert "test_request" in kinds(client.wait(0.2))
    client.wait(9.8)
    assert client.session.closing is None
    client.wait(0.3)
    assert client.session.closing == (4000, "heartbeat close")


def test_a_client_that_answers_stays(client: Client) -> None:
    client.call("public/set_heartbeat", interval=10)
    asked_ns = []
    for _ in range(60_000 // 20):
        for message in client.wait(0.02):
            if message["params"]["type"] == "test_request":
                asked_ns.append(client.clock.now_ns())
                assert client.call("public/test")["result"]["version"]
    assert client.session.closing is None
    gaps_s = [(b - a) / 1e9 for a, b in pairwise(asked_ns)]
    assert gaps_s == pytest.approx([10.6] * 4, abs=0.05)


def test_other_calls_do_not_answer_a_test_request(client: Client) -> None:
    client.call("public/set_heartbeat", interval=10)
    client.wait(13.0)
    client.call("public/get_time")
    client.wait(10.0)
    assert client.session.closing == (4000, "heartbeat close")


def test_a_disabled_heartbeat_is_silent(client: Client) -> None:
    client.call("public/set_heartbeat", interval=10)
    client.call("public/disable_heartbeat")
    client.subscribe(FAR)
    assert kinds(client.wait(30.0, 100)) == []
    assert client.session.closing is None


@pytest.mark.parametrize("interval", [9, 0, "10", None, True])
def test_a_heartbeat_needs_ten_seconds(client: Client, interval: Any) -> None:
    assert client.call("public/set_heartbeat", interval=interval)["error"]["code"] == -32602


def test_an_idle_socket_is_cut_after_a_minute() -> None:
    client = make_client(rate=50.0)
    client.wait(59.0, 100)
    assert client.session.closing is None
    client.wait(2.0, 100)
    assert client.session.closing == (1006, "idle")


def test_a_subscription_keeps_a_socket() -> None:
    client = make_client(rate=50.0)
    client.subscribe(FAR)
    client.wait(200.0, 1000)
    assert client.session.closing is None


# --- limits and errors ---


def test_ten_subscribe_calls_in_a_burst_and_no_more(client: Client) -> None:
    for _ in range(10):
        assert client.subscribe(NEAR) == [NEAR]
    reply = client.call("public/subscribe", channels=[NEAR])
    assert reply["error"] == {"code": 10028, "message": "too_many_requests"}
    assert client.session.closing == (1008, "too_many_requests")
    client.session.take()
    client.venue.receive(client.session, b'{"method":"public/test"}', client.clock.now_ns())
    assert client.session.take() == []  # a session that ended answers no more


def test_the_subscribe_pool_refills(client: Client) -> None:
    for _ in range(30):
        assert client.subscribe(FAR) == [FAR]
        client.wait(0.3)
    assert client.session.closing is None


def test_listings_are_charged_apart(client: Client) -> None:
    for _ in range(50):
        assert "result" in client.call("public/get_instruments", currency="BTC", kind="future")
    error = client.call("public/get_instruments", currency="BTC", kind="future")["error"]
    assert error["code"] == 10028


@pytest.mark.parametrize("text", [b"{", b"[]", b'"x"', b'{"id":1}', b'{"method":1}', b"\xff"])
def test_what_is_no_call_is_a_bad_request_without_id(client: Client, text: bytes) -> None:
    reply = client.send(text)
    assert reply["error"] == {"code": 11050, "message": "bad_request"}
    assert "id" not in reply


def test_a_request_above_32_kb_is_refused(client: Client) -> None:
    reply = client.send(b'{"method":"public/test","params":{"x":"' + b"x" * 33_000 + b'"}}')
    assert reply["error"] == {"code": -32600, "message": "request entity too large"}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("public/nonsense", {}, -32601),
        ("private/buy", {}, -32601),
        ("public/get_instruments", {}, -32602),
        ("public/get_instruments", {"currency": "DOGE"}, -32602),
        ("public/get_instruments", {"currency": "BTC", "kind": "swap"}, -32602),
        ("public/get_instruments", {"currency": "BTC", "expired": "perhaps"}, -32602),
        ("public/ticker", {"instrument_name": "BTC-1JAN20-1-C"}, 13020),
        ("public/subscribe", {"channels": "ticker"}, -32602),
        ("public/get_index_price", {"index_name": "doge_usd"}, -32602),
    ],
)
def test_errors(client: Client, method: str, params: dict[str, Any], code: int) -> None:
    reply = client.call(method, **params)
    assert reply["error"]["code"] == code
    assert reply["id"] == 1
    assert client.session.closing is None


# --- faults ---


def test_dropped_and_repeated_frames() -> None:
    def received(faults: Faults) -> int:
        client = make_client(faults)
        client.subscribe(NEAR)
        return len(of(client.wait(20.0), NEAR))

    whole = received(Faults())
    assert received(Faults(drop_every=2)) == whole - whole // 2
    assert received(Faults(repeat_every=2)) == whole + whole // 2


def test_a_stalled_stream_is_silent_until_released(client: Client) -> None:
    client.subscribe(NEAR, "deribit_price_index.btc_usd")
    client.session.take()
    client.venue.faults.stalled.add("ticker.")
    messages = client.wait(3.0)
    assert of(messages, NEAR) == []
    assert of(messages, "deribit_price_index.btc_usd")
    client.venue.faults.stalled.clear()
    assert of(client.wait(3.0), NEAR)


def test_a_refused_channel_is_dropped_silently(client: Client) -> None:
    client.venue.faults.refused.add(NEAR)
    assert client.subscribe(NEAR, FAR) == [FAR]


def test_maintenance(client: Client) -> None:
    client.subscribe("platform_state")
    client.wait(6.0)
    client.venue.faults.maintenance = True
    client.venue.announce_platform()
    assert {"maintenance": True} in of(client.wait(0.1), "platform_state")
    assert client.call("public/get_time")["error"]["code"] == 11051
    assert client.call("public/subscribe", channels=[NEAR])["error"]["code"] == 11051
    assert "result" in client.call("public/test")
    assert "result" in client.call("public/status")


def test_a_moment_of_settlement(client: Client) -> None:
    client.venue.faults.is_settling = True
    assert client.call("public/get_time")["error"]["code"] == 10041
    assert client.call("public/subscribe", channels=[NEAR])["error"]["code"] == 10041
    client.venue.faults.is_settling = False
    assert "result" in client.call("public/get_time")


def test_the_last_trades_are_those_of_the_channel(client: Client) -> None:
    client.subscribe("trades.option.BTC.100ms")
    told = [row for data in of(client.wait(30.0), "trades.option.BTC.100ms") for row in data]
    assert len(told) > 3
    found = client.call("public/get_last_trades_by_currency", currency="BTC", count=100)["result"]["trades"]
    assert found == told[::-1]
    name, sequence = told[-1]["instrument_name"], told[-1]["trade_seq"]
    found = client.call("public/get_last_trades_by_instrument", instrument_name=name, start_seq=sequence)["result"]
    assert found == {"trades": [told[-1]], "has_more": False}
    assert client.call("public/get_last_trades_by_instrument", count=3)["error"]["code"] == -32602


def test_a_locked_index(client: Client) -> None:
    client.subscribe("platform_state")
    client.venue.faults.locked.add("btc_usd")
    client.venue.announce_platform()
    expected = {"locked": True, "price_index": "btc_usd", "reasons": []}
    assert expected in of(client.wait(0.1), "platform_state")
    status = client.call("public/status")["result"]
    assert status == {"locked": "partial", "locked_indices": ["btc_usd"]}


def test_rate_limiting_at_will(client: Client) -> None:
    client.venue.faults.rate_limited = True
    assert client.call("public/subscribe", channels=[NEAR])["error"]["code"] == 10028
    assert client.session.closing is not None


def test_a_replayed_market_serves_the_same_way() -> None:
    venue = Venue([ReplayMarket(CHAIN, 2_000.0)], seed=1)
    client = Client(venue, VirtualClock(CHAIN.instant_ns))
    client.subscribe(NEAR)
    data = of(client.wait(2.0), NEAR)
    assert len(data) >= 4
    stamps = [d.pop("timestamp") for d in data]
    assert stamps == sorted(set(stamps))
    assert all(d == data[0] for d in data)
