"""The connector's conversation with Bybit, without a socket or a clock."""

import json

import pytest

from derivasys.connect.bybit import (
    ANSWER_S_MAX,
    ENTRY,
    PING_EVERY_S,
    PONG_S_MAX,
    RELIST_EVERY_S,
    STATUS,
    STREAM_SILENCE_S_MAX,
    TOPICS_PER_REQUEST,
    BybitSession,
)
from derivasys.connect.session import Reconnect

S = 10**9
OPTIONS = ["BTC-25DEC26-100000-C-USDT", "BTC-25DEC26-100000-P-USDT", "BTC-25DEC26-100000-P"]
EXPIRY_MS = 1_798_185_600_000
PATH = "/v5/market/instruments-info?category=option&baseCoin=BTC&limit=1000"


def row(symbol: str, **changes: str) -> dict:
    return {
        "symbol": symbol,
        "status": "Trading",
        "baseCoin": "BTC",
        "settleCoin": "USDT",
        "deliveryTime": str(EXPIRY_MS),
        **changes,
    }


def page(*rows: dict, cursor="", code=0) -> bytes:
    result = {"category": "option", "nextPageCursor": cursor, "list": rows}
    return json.dumps({"retCode": code, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1}).encode()


def requests(sent: list[bytes], op: str = "subscribe") -> list[dict]:
    return [request for request in map(json.loads, sent) if request["op"] == op]


def topics(sent: list[bytes], op: str = "subscribe") -> list[str]:
    return [topic for request in requests(sent, op) for topic in request["args"]]


def frame(topic: str, kind="snapshot") -> bytes:
    return f'{{"id":"{topic}-1-2","topic":"{topic}","ts":2,"data":{{}},"type":"{kind}"}}'.encode()


def answer(request: dict, failed=(), silent=()) -> bytes:
    """As the option socket acknowledges: lists, no request id."""
    accepted = [topic for topic in request["args"] if topic not in (*failed, *silent)]
    data = {"failTopics": [topic for topic in request["args"] if topic in failed], "successTopics": accepted}
    return json.dumps({"success": True, "conn_id": "aa", "data": data, "type": "COMMAND_RESP"}).encode()


def acknowledge(session: BybitSession, sent: list[bytes], now_ns: int, failed=(), silent=()) -> None:
    for request in requests(sent):
        session.received(answer(request, failed, silent), now_ns)


def open_session(names=OPTIONS, now_ns=0) -> tuple[BybitSession, list[bytes]]:
    session = BybitSession("option", ["BTC"], now_ns)
    session.relisting.clear()
    session.listed(PATH, page(*map(row, names)), now_ns)
    return session, session.opened(now_ns)


class TestListing:
    def test_the_coin_is_always_named(self):
        """Without baseCoin the venue answers with BTC alone."""
        for session in ENTRY.sessions(["BTC", "SOL"], 0):
            assert all("&baseCoin=" in path for path in session.relisting if path != STATUS)

    def test_pages_are_followed_to_the_last(self):
        session = BybitSession("option", ["BTC"], 0)
        session.relisting.clear()
        session.listed(PATH, page(row(OPTIONS[0]), cursor="first%3D1&x"), 0)
        assert session.relisting == [PATH + "&cursor=first%253D1%26x"]
        session.listed(session.relisting.pop(), page(row(OPTIONS[1]), cursor="2"), 0)
        session.listed(session.relisting.pop(), page(row(OPTIONS[2])), 0)
        assert session.relisting == []
        assert [topic for topic in topics(session.opened(0)) if topic.startswith("tickers")] == [
            f"tickers.{name}" for name in OPTIONS
        ]

    def test_series_in_both_currencies_and_the_coins_trades_are_subscribed(self):
        _, sent = open_session()
        assert topics(sent) == [*(f"tickers.{name}" for name in OPTIONS), "publicTrade.BTC"]

    @pytest.mark.parametrize("status", ["PreLaunch", "Delivering", "Closed"])
    def test_only_what_trades_is_subscribed(self, status):
        session = BybitSession("option", ["BTC"], 0)
        session.listed(PATH, page(row(OPTIONS[0], status=status)), 0)
        assert topics(session.opened(0)) == ["publicTrade.BTC"]

    def test_a_coin_without_options_is_passed_over(self):
        session = BybitSession("option", ["AVAX"], 0)
        session.listed(PATH, page(code=10001), 0)
        assert session.opened(0) == []

    def test_another_error_replaces_the_connection(self):
        session = BybitSession("option", ["BTC"], 0)
        with pytest.raises(Reconnect, match="10006"):
            session.listed(PATH, page(code=10006), 0)

    def test_a_null_cursor_is_the_last_page(self):
        session = BybitSession("option", ["BTC"], 0)
        session.relisting.clear()
        session.listed(PATH, page(cursor=None), 0)
        assert session.relisting == []


class TestShards:
    NAMES = [
        f"BTC-{day}DEC26-{strike}-{kind}-USDT"
        for day in (4, 11, 18, 25)
        for strike in range(20000, 110000, 1000)
        for kind in "CP"
    ]

    def test_each_ticker_is_on_exactly_one_connection_within_the_limit_of_characters(self):
        listed = page(*map(row, self.NAMES))
        shards = [session for session in ENTRY.sessions(["BTC"], 0) if session.ws_path.endswith("option")]
        asked = []
        for session in shards:
            session.listed(PATH, listed, 0)
            mine = topics(session.opened(0))
            assert len(json.dumps(mine)) < 21_000
            assert session.left_out == set()
            asked += mine
        assert sorted(asked) == sorted([*(f"tickers.{name}" for name in self.NAMES), "publicTrade.BTC"])

    def test_what_does_not_fit_is_told_and_subscribed_when_there_is_room(self):
        session, sent = open_session(self.NAMES)
        acknowledge(session, sent, 0)
        asked = set(topics(sent))
        assert len(json.dumps(sorted(asked))) < 21_000, "what the venue allows, quotes and commas counted"
        left = set(session.left_out)
        assert len(left) + len(asked) == len(self.NAMES) + 1
        assert session._channels.expire(EXPIRY_MS * 10**6)
        session.listed(PATH, page(*(row(topic.removeprefix("tickers.")) for topic in sorted(left))), 0)
        assert session.left_out == set()


class TestAnswers:
    def test_requests_are_small(self):
        _, sent = open_session([f"BTC-25DEC26-{strike}-C-USDT" for strike in range(100, 199)])
        assert [len(request["args"]) for request in requests(sent)] == [TOPICS_PER_REQUEST] * 10

    def test_lists_of_topics_are_compared_with_the_request(self):
        session, sent = open_session()
        gone = f"tickers.{OPTIONS[1]}"
        acknowledge(session, sent, 0, failed=[gone])
        assert session.refused == {gone}
        assert session.subscribed == set(topics(sent)) - {gone}
        session.listed(PATH, page(*map(row, OPTIONS)), S)
        again = session.tick(S)
        assert topics(again) == [gone]
        acknowledge(session, again, S)
        assert session.refused == set()

    def test_a_topic_in_neither_list_is_missing(self):
        session, sent = open_session()
        gone = f"tickers.{OPTIONS[1]}"
        acknowledge(session, sent, 0, silent=[gone])
        assert session.refused == {gone}

    def test_an_unanswered_request_replaces_the_connection(self):
        session, _ = open_session()
        with pytest.raises(Reconnect, match="no answer to a subscription"):
            session.tick(int((ANSWER_S_MAX + 1) * S))


class TestHeartbeat:
    @pytest.mark.parametrize(
        "pong",
        [
            b'{"args":["1672916271846"],"op":"pong"}',
            b'{"success":true,"ret_msg":"pong","conn_id":"46","req_id":"","op":"ping"}',
        ],
    )
    def test_a_ping_every_twenty_seconds_and_both_shapes_of_pong(self, pong):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        now_ns = 0
        for _ in range(2):
            now_ns += int(PING_EVERY_S * S)
            (ping,) = session.tick(now_ns)
            assert json.loads(ping)["op"] == "ping"
            session.received(pong, now_ns + S)

    def test_no_pong_replaces_the_connection_though_data_flows(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        now_ns = int(PING_EVERY_S * S)
        session.tick(now_ns)
        session.received(frame(f"tickers.{OPTIONS[0]}"), now_ns + int(PONG_S_MAX * S))
        with pytest.raises(Reconnect, match="ping"):
            session.tick(now_ns + int((PONG_S_MAX + 1) * S))


def tick_with_pongs(session: BybitSession, until_s: float, start_s: float = 0.0) -> list[bytes]:
    sent = []
    for second in range(int(start_s), int(until_s) + 1, 5):
        sent += session.tick(second * S)
        session.received(b'{"op":"pong"}', second * S)
    return [message for message in sent if b'"ping"' not in message]


def test_a_silent_shard_is_subscribed_anew_then_given_up():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    sent = tick_with_pongs(session, STREAM_SILENCE_S_MAX + 5)
    assert sorted(topics(sent, "unsubscribe")) == sorted(f"tickers.{name}" for name in OPTIONS) == sorted(topics(sent))
    acknowledge(session, sent, int(STREAM_SILENCE_S_MAX * S))
    with pytest.raises(Reconnect, match="tickers BTC option"):
        tick_with_pongs(session, 2 * STREAM_SILENCE_S_MAX + 20, STREAM_SILENCE_S_MAX + 5)


def test_what_has_expired_is_unsubscribed_and_listings_are_fetched_after_the_roll():
    start_ns = EXPIRY_MS * 10**6 - S
    session, sent = open_session(now_ns=start_ns)
    acknowledge(session, sent, start_ns)
    session.relisting.clear()
    sent = session.tick(EXPIRY_MS * 10**6)
    assert topics(sent, "unsubscribe") == [f"tickers.{name}" for name in OPTIONS]
    session.tick(EXPIRY_MS * 10**6 + 3 * S)
    assert session.relisting == [PATH]
    session.relisting.clear()
    session.tick(EXPIRY_MS * 10**6 + 19 * S)
    assert session.relisting == []
    session.received(b'{"op":"pong"}', EXPIRY_MS * 10**6 + 20 * S)
    session.tick(EXPIRY_MS * 10**6 + 21 * S)
    assert session.relisting == [PATH], "once more, as nothing announces new contracts"


def test_listings_are_fetched_again_from_time_to_time():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    now_ns = int(RELIST_EVERY_S * S)
    session.received(frame(f"tickers.{OPTIONS[0]}"), now_ns)
    session.tick(now_ns)
    assert session.relisting == [PATH]


class TestFutures:
    FUTURE = {"symbol": "BTCUSDT-25DEC26", "contractType": "LinearFutures"}

    def open(self, *rows: dict) -> tuple[BybitSession, list[bytes]]:
        session = BybitSession("linear", ["BTC"], 0)
        session.listed("linear", page(*(row(**at) for at in rows or (self.FUTURE,))), 0)
        return session, session.opened(0)

    def acknowledge(self, session: BybitSession, sent: list[bytes], **changes: object) -> None:
        for request in requests(sent):
            message = {
                "success": True,
                "ret_msg": "",
                "conn_id": "3c",
                "req_id": request["req_id"],
                "op": "subscribe",
                **changes,
            }
            session.received(json.dumps(message).encode(), 0)

    def test_they_are_on_a_socket_of_their_own_with_the_systems_state(self):
        session = ENTRY.sessions(["BTC"], 0)[-1]
        assert session.ws_path == "/v5/public/linear"
        assert STATUS in session.relisting
        session.listed(STATUS, b'{"retCode":0,"result":{"list":[]}}', 0)

    def test_only_dated_futures_in_the_currencies_of_options(self):
        _, sent = self.open(
            self.FUTURE, {"symbol": "BTCUSDT", "contractType": "LinearPerpetual"},
            {"symbol": "BTC-25DEC26", "contractType": "LinearFutures", "settleCoin": "USDC"},
            {"symbol": "BTCUSDH26", "contractType": "InverseFutures", "settleCoin": "BTC"},
        )  # fmt: skip
        assert topics(sent) == ["tickers.BTCUSDT-25DEC26", "tickers.BTC-25DEC26"]

    def test_an_acknowledgement_of_the_whole_request(self):
        session, sent = self.open()
        self.acknowledge(session, sent)
        assert session.subscribed == {"tickers.BTCUSDT-25DEC26"}

    def test_a_refused_request_is_asked_again_without_the_topic_it_names(self):
        other = {"symbol": "BTCUSDT-26MAR27", "contractType": "LinearFutures"}
        session, sent = self.open(self.FUTURE, other)
        self.acknowledge(session, sent, success=False, ret_msg="Invalid topic: tickers.BTCUSDT-26MAR27")
        assert session.refused == {"tickers.BTCUSDT-26MAR27"}
        assert topics(session.tick(0)) == ["tickers.BTCUSDT-25DEC26"]

    def test_changes_without_their_snapshot_are_subscribed_anew(self):
        session, sent = self.open()
        self.acknowledge(session, sent)
        topic = topics(sent)[0]
        session.received(frame(topic, "delta"), S)
        session.received(frame(topic, "delta"), S)
        sent = session.tick(S)
        assert (topics(sent, "unsubscribe"), topics(sent)) == ([topic], [topic])
        self.acknowledge(session, sent)
        session.received(frame(topic), 2 * S)
        session.received(frame(topic, "delta"), 2 * S)
        assert session.tick(2 * S) == []


def test_undecodable_control_frames_do_not_stop_it():
    session, _ = open_session()
    for payload in (
        b"garbage",
        b'{"topic":"',
        b'{"success":7}',
        b"{}",
        b'{"success":true,"data":{}}',
        b'{"op":"subscribe","success":true}',
    ):
        assert session.received(payload, S) == []
