"""The connector's conversation with Derive, without a socket or a clock."""

import json

import pytest

from derivasys.connect.derive import (
    ANSWER_S_MAX,
    CHANNELS_PER_CALL,
    RELIST_EVERY_S,
    SILENCE_S_MAX,
    STREAM_SILENCE_S_MAX,
    DeriveSession,
)
from derivasys.connect.session import Reconnect

S = 10**9
EXPIRY_S = 1_798_185_600
OPTIONS = ["BTC-20261225-88000-C", "BTC-20261225-88000-P"]


def calls(sent: list[bytes], method: str) -> list[dict]:
    return [call for call in map(json.loads, sent) if call["method"] == method]


def page(call: dict, names: list[str], pages: int = 1, **more: object) -> bytes:
    rows = [
        {"instrument_name": name, "is_active": True, "option_details": {"expiry": EXPIRY_S}, **more} for name in names
    ]
    return json.dumps(
        {"id": call["id"], "result": {"instruments": rows, "pagination": {"num_pages": pages, "count": 1}}}
    ).encode()


def acknowledge(session: DeriveSession, sent: list[bytes], now_ns: int, refused: str = "") -> list[bytes]:
    answers = []
    for call in map(json.loads, sent):
        if "channels" in call["params"]:
            status = {
                name: "ok" if name != refused else "channel does not exist" for name in call["params"]["channels"]
            }
            answers += session.received(json.dumps({"id": call["id"], "result": {"status": status}}).encode(), now_ns)
    return answers


def open_session(names=OPTIONS, now_ns=0) -> tuple[DeriveSession, list[bytes]]:
    """Return a session whose listing has been answered, and its subscriptions so far."""
    session = DeriveSession(["BTC"], now_ns)
    (listing,) = session.opened(now_ns)
    return session, session.received(page(json.loads(listing), names), now_ns)


def ticker(name=OPTIONS[0]) -> bytes:
    return f'{{"method":"subscription","params":{{"channel":"ticker_slim.{name}.1000","data":{{}}}}}}'.encode()


SPOT = b'{"method":"subscription","params":{"channel":"spot_feed.BTC","data":{}}}'


def test_listings_are_asked_for_over_the_socket_page_by_page():
    session = DeriveSession(["BTC"], 0)
    assert session.relisting == []
    assert session.ws_path == "/v3/ws"
    (first,) = session.opened(0)
    call = json.loads(first)
    assert call["method"] == "public/get_all_instruments"
    assert (call["params"]["currency"], call["params"]["page"], call["params"]["expired"]) == ("BTC", 1, False)
    sent = session.received(page(call, OPTIONS[:1], pages=2), 0)
    (second,) = calls(sent, "public/get_all_instruments")
    assert second["params"]["page"] == 2
    sent += session.tick(S) + session.received(page(second, OPTIONS[1:], pages=2), S) + session.tick(2 * S)
    channels = {name for call in calls(sent, "subscribe") for name in call["params"]["channels"]}
    assert channels == {*(f"ticker_slim.{name}.1000" for name in OPTIONS), "trades.option.BTC", "spot_feed.BTC"}


def test_large_listings_are_subscribed_in_batches_a_few_a_second():
    session, sent = open_session([f"BTC-20261225-{100 + number}-C" for number in range(2000)])
    asked = 0
    for second in range(1, 10):
        assert len(sent) <= 3
        asked += sum(len(call["params"]["channels"]) for call in calls(sent, "subscribe"))
        assert all(len(call["params"]["channels"]) <= CHANNELS_PER_CALL for call in calls(sent, "subscribe"))
        sent = acknowledge(session, sent, second * S) + session.tick(second * S)
    assert asked == 2002


def test_a_status_other_than_ok_is_noticed_and_asked_for_after_the_next_listing():
    session, sent = open_session()
    gone = f"ticker_slim.{OPTIONS[1]}.1000"
    acknowledge(session, sent + session.tick(S), S, refused=gone)
    assert session.refused == {gone}
    assert f"ticker_slim.{OPTIONS[0]}.1000" in session.subscribed
    for alive in (ticker(), SPOT):
        session.received(alive, int(RELIST_EVERY_S * S))
    (again,) = calls(session.tick(int(RELIST_EVERY_S * S)), "public/get_all_instruments")
    sent = session.received(page(again, OPTIONS), int(RELIST_EVERY_S * S))
    assert [call["params"]["channels"] for call in calls(sent, "subscribe")] == [[gone]]


def test_what_is_no_longer_listed_or_inactive_is_unsubscribed():
    session, sent = open_session()
    acknowledge(session, sent + session.tick(S), S)
    for alive in (ticker(), SPOT):
        session.received(alive, int(RELIST_EVERY_S * S))
    (again,) = calls(session.tick(int(RELIST_EVERY_S * S)), "public/get_all_instruments")
    sent = session.received(page(again, OPTIONS[:1]), int(RELIST_EVERY_S * S))
    assert [call["params"]["channels"] for call in calls(sent, "unsubscribe")] == [[f"ticker_slim.{OPTIONS[1]}.1000"]]


def test_an_empty_listing_ends_nothing():
    session, sent = open_session()
    acknowledge(session, sent + session.tick(S), S)
    for alive in (ticker(), SPOT):
        session.received(alive, int(RELIST_EVERY_S * S))
    (again,) = calls(session.tick(int(RELIST_EVERY_S * S)), "public/get_all_instruments")
    assert session.received(page(again, []), int(RELIST_EVERY_S * S)) == []


def test_expired_contracts_are_unsubscribed_in_one_call_and_listings_follow():
    before_ns = (EXPIRY_S - 60) * S
    session, sent = open_session(now_ns=before_ns)
    acknowledge(session, sent + session.tick(before_ns + S), before_ns + S)
    expired_ns = EXPIRY_S * S
    for alive in (ticker(), SPOT):
        session.received(alive, expired_ns)
    (call,) = calls(session.tick(expired_ns), "unsubscribe")
    assert len(call["params"]["channels"]) == 2
    session.received(json.dumps({"id": call["id"], "result": {}}).encode(), expired_ns)
    later_ns = expired_ns + 25 * S
    session.received(SPOT, later_ns)
    assert calls(session.tick(later_ns), "public/get_all_instruments")


def test_a_dead_connection_is_replaced():
    """The venue drops connections without a closing frame."""
    session, sent = open_session()
    acknowledge(session, sent, 0)
    with pytest.raises(Reconnect, match="no frame"):
        session.tick(int((SILENCE_S_MAX + 1) * S))


def test_an_unanswered_call_replaces_the_connection():
    session, _ = open_session()
    session.received(ticker(), int(ANSWER_S_MAX * S))
    with pytest.raises(Reconnect, match="no answer to subscribe"):
        session.tick(int((ANSWER_S_MAX + 1) * S))


def test_a_silent_stream_is_subscribed_anew_then_given_up():
    session, sent = open_session()
    acknowledge(session, sent + session.tick(S), S)
    now_ns = int((STREAM_SILENCE_S_MAX + 2) * S)
    session.received(SPOT, now_ns - 1)
    sent = session.tick(now_ns)
    (drop,), (again,) = calls(sent, "unsubscribe"), calls(sent, "subscribe")
    assert set(drop["params"]["channels"]) == {f"ticker_slim.{name}.1000" for name in OPTIONS}
    session.received(json.dumps({"id": drop["id"], "result": {}}).encode(), now_ns)
    acknowledge(session, sent, now_ns)
    assert drop["params"] == again["params"]
    later_ns = 2 * now_ns
    session.received(SPOT, later_ns - 1)
    with pytest.raises(Reconnect, match="ticker_slim BTC"):
        session.tick(later_ns)


def test_an_error_reply_replaces_the_connection():
    session, _ = open_session()
    with pytest.raises(Reconnect, match="-32000 Rate limit exceeded"):
        session.received(b'{"id":1,"error":{"code":-32000,"message":"Rate limit exceeded"}}', S)


def test_undecodable_frames_do_not_stop_it():
    session, _ = open_session()
    session.tick(S)
    assert session.received(b"garbage", S) == []
    assert session.received(b'{"channel":"ticker_slim', S) == []


def test_a_listing_that_cannot_be_read_replaces_the_connection():
    session = DeriveSession(["BTC"], 0)
    (listing,) = session.opened(0)
    with pytest.raises(Reconnect, match="listing of BTC"):
        session.received(json.dumps({"id": json.loads(listing)["id"], "result": {"instruments": 7}}).encode(), 0)
