"""The connector's conversation with Deribit, without a socket or a clock."""

import json

import pytest

from derivasys.connect.deribit import (
    ANSWER_S_MAX,
    CHANNELS_PER_CALL,
    RELIST_DELAY_S,
    RELIST_EVERY_S,
    SILENCE_S_MAX,
    STREAM_SILENCE_S_MAX,
    DeribitSession,
)
from derivasys.connect.session import Reconnect

S = 10**9
OPTIONS = ["BTC-25DEC26-100000-C", "BTC-25DEC26-100000-P"]


def listing(names=OPTIONS, kind="option") -> bytes:
    return json.dumps(
        {
            "result": [
                {"instrument_name": name, "kind": kind, "base_currency": name[:3], "price_index": "btc_usd"}
                for name in names
            ]
        }
    ).encode()


def ticker(name=OPTIONS[0]) -> bytes:
    return (
        f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"ticker.{name}.100ms","data":{{}}}}}}'.encode()
    )


def calls(sent: list[bytes], method: str) -> list[dict]:
    return [call for call in map(json.loads, sent) if call["method"] == method]


def acknowledge(session: DeribitSession, sent: list[bytes], now_ns: int, without: str = "") -> None:
    for call in calls(sent, "public/subscribe"):
        accepted = [channel for channel in call["params"]["channels"] if channel != without]
        session.received(json.dumps({"id": call["id"], "result": accepted[::-1]}).encode(), now_ns)


def open_session(names=OPTIONS, now_ns=0) -> tuple[DeribitSession, list[bytes]]:
    session = DeribitSession(["BTC"], now_ns)
    session.listed("", listing(names), now_ns)
    return session, session.opened(now_ns)


def test_it_asks_for_listings_of_options_and_futures():
    paths = DeribitSession(["BTC", "ETH"], 0).relisting
    assert paths == [
        f"/api/v2/public/get_instruments?currency=any&kind={kind}&expired=false" for kind in ("option", "future")
    ]


def test_it_opens_with_heartbeat_and_subscriptions():
    _, sent = open_session()
    assert len(calls(sent, "public/set_heartbeat")) == 1
    (call,) = calls(sent, "public/subscribe")
    channels = set(call["params"]["channels"])
    assert {f"ticker.{name}.100ms" for name in OPTIONS} <= channels
    assert {"instrument.state.option.BTC", "deribit_price_index.btc_usd", "platform_state"} <= channels
    assert not any(channel.endswith(".raw") for channel in channels), "one raw channel fails the whole call"


def test_large_listings_are_subscribed_in_batches_within_size_and_budget():
    names = [f"BTC-25DEC26-{100 + number}-C" for number in range(8000)]
    _, sent = open_session(names)
    requests = calls(sent, "public/subscribe")
    assert len(requests) == 10, "the burst that the credit pool allows"
    assert all(len(request["params"]["channels"]) <= CHANNELS_PER_CALL for request in requests)
    assert all(len(message) < 32_000 for message in sent)


def test_the_rest_follows_as_credits_come_back():
    names = [f"BTC-25DEC26-{100 + number}-C" for number in range(8000)]
    session, sent = open_session(names)
    acknowledge(session, sent, 0)
    later = session.tick(S)
    assert len(calls(later, "public/subscribe")) == 3


def test_channels_missing_from_the_acknowledgement_are_noticed_and_asked_for_after_the_next_listing():
    session, sent = open_session()
    gone = f"ticker.{OPTIONS[1]}.100ms"
    acknowledge(session, sent, 0, without=gone)
    assert session.refused == {gone}
    assert gone not in session.subscribed
    session.listed("", listing(), S)
    again = session.tick(S)
    assert [call["params"]["channels"] for call in calls(again, "public/subscribe")] == [[gone]]
    acknowledge(session, again, S)
    assert session.refused == set()


def test_test_requests_are_answered():
    session, _ = open_session()
    (answer,) = session.received(b'{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}', S)
    assert json.loads(answer)["method"] == "public/test"
    assert session.received(b'{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}', S) == []


def test_a_dead_connection_is_replaced():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    session.received(json.dumps({"id": json.loads(sent[0])["id"], "result": "ok"}).encode(), 0)
    with pytest.raises(Reconnect, match="no frame"):
        session.tick(int((SILENCE_S_MAX + 1) * S))


def test_an_unanswered_call_replaces_the_connection():
    session, _ = open_session()
    session.received(ticker(), int(ANSWER_S_MAX * S))
    with pytest.raises(Reconnect, match="no answer"):
        session.tick(int((ANSWER_S_MAX + 1) * S))


def test_a_silent_stream_is_subscribed_anew_then_given_up():
    session, sent = open_session([*OPTIONS])
    session.listed("", listing(["BTC-PERPETUAL"], "future"), 0)
    sent += session.tick(0)
    acknowledge(session, sent, 0)
    now_ns = int((STREAM_SILENCE_S_MAX + 1) * S)
    # The perpetual and the index live; the options are silent.
    for alive in (b'"channel":"ticker.BTC-PERPETUAL.100ms"', b'"channel":"deribit_price_index.btc_usd"'):
        session.received(alive, now_ns - 1)
    sent = session.tick(now_ns)
    (drop,), (again,) = calls(sent, "public/unsubscribe"), calls(sent, "public/subscribe")
    assert set(drop["params"]["channels"]) == {f"ticker.{name}.100ms" for name in OPTIONS}
    assert drop["params"] == again["params"]
    for call in (drop, again):
        session.received(json.dumps({"id": call["id"], "result": call["params"]["channels"]}).encode(), now_ns)
    later_ns = now_ns + int((STREAM_SILENCE_S_MAX + 1) * S)
    for alive in (b'"channel":"ticker.BTC-PERPETUAL.100ms"', b'"channel":"deribit_price_index.btc_usd"'):
        session.received(alive, later_ns - 1)
    with pytest.raises(Reconnect, match="ticker.BTC option"):
        session.tick(later_ns)


def test_a_stream_that_speaks_again_is_forgiven():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    now_ns = 0
    for _ in range(5):
        now_ns += int((STREAM_SILENCE_S_MAX - 1) * S)
        session.received(ticker(), now_ns)
        session.received(b'"channel":"deribit_price_index.btc_usd"', now_ns)
        assert calls(session.tick(now_ns), "public/unsubscribe") == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (10028, "too_many_requests"), (10041, "settlement_in_progress"), (11051, "system_maintenance"),
        (11056, "unauthenticated_public_requests_temporarily_disabled"),
    ],
)  # fmt: skip
def test_an_error_reply_replaces_the_connection(code, message):
    session, _ = open_session()
    with pytest.raises(Reconnect, match=f"{code} {message}"):
        session.received(f'{{"id":1,"error":{{"code":{code},"message":"{message}"}}}}'.encode(), S)


def test_nothing_is_asked_for_that_needs_a_login():
    """One raw channel would fail the whole request."""
    _, sent = open_session()
    asked = [channel for call in calls(sent, "public/subscribe") for channel in call["params"]["channels"]]
    assert asked
    assert not [channel for channel in asked if channel.endswith(".raw")]


def state(name: str, what: str) -> bytes:
    message = {"method": "subscription", "params": {"channel": "instrument.state.option.BTC",
               "data": {"timestamp": 1, "state": what, "instrument_name": name}}}  # fmt: skip
    return json.dumps(message, separators=(",", ":")).encode()


def test_a_delivered_contract_is_unsubscribed():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    session.received(state(OPTIONS[0], "delivered"), S)
    (call,) = calls(session.tick(S), "public/unsubscribe")
    assert call["params"]["channels"] == [f"ticker.{OPTIONS[0]}.100ms"]


def test_a_burst_of_new_contracts_is_gathered_into_one_listing():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    session.relisting = []
    for number in range(300):
        session.received(state(f"BTC-26DEC26-{number}-C", "created"), S)
    session.tick(S)
    assert session.relisting == []
    session.tick(S + int(RELIST_DELAY_S * S))
    assert len(session.relisting) == 2


def test_listings_are_fetched_again_from_time_to_time():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    session.relisting = []
    now_ns = int(RELIST_EVERY_S * S)
    for alive in (ticker(), b'"channel":"deribit_price_index.btc_usd"'):
        session.received(alive, now_ns)
    session.tick(now_ns)
    assert len(session.relisting) == 2


def test_undecodable_control_frames_do_not_stop_it():
    session, _ = open_session()
    assert session.received(b"garbage", S) == []
    assert session.received(b'{"channel":"instrument.state', S) == []


def test_linear_contracts_come_under_usdc_and_other_coins_are_left_out():
    session = DeribitSession(["SOL"], 0)
    rows = [
        {
            "instrument_name": "SOL_USDC-26JUN26-142-C",
            "kind": "option",
            "base_currency": "SOL",
            "price_index": "sol_usdc",
        },
        {
            "instrument_name": "BTC_USDC-26JUN26-90000-C",
            "kind": "option",
            "base_currency": "BTC",
            "price_index": "btc_usdc",
        },
    ]
    session.listed("", json.dumps({"result": rows}).encode(), 0)
    (call,) = calls(session.opened(0), "public/subscribe")
    channels = call["params"]["channels"]
    assert "ticker.SOL_USDC-26JUN26-142-C.100ms" in channels
    assert "deribit_price_index.sol_usdc" in channels
    assert "trades.option.USDC.100ms" in channels
    assert not any("BTC" in channel or "btc" in channel for channel in channels)
