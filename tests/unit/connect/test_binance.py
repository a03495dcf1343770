"""The connector's conversation with Binance, without a socket or a clock."""

import json

import pytest

from derivasys.connect.binance import (
    ANSWER_S_MAX,
    CALL_BYTES_MAX,
    ENTRY,
    LIFE_S,
    LISTING,
    RELIST_DELAY_S,
    RELIST_EVERY_S,
    SILENCE_S,
    STREAMS_MAX,
    BinanceSession,
)
from derivasys.connect.session import Reconnect

S = 10**9
EXPIRY_MS = 2_000_000_000_000
DAY_NS = 20_000 * 86_400 * S
OPTIONS = ["BTC-260925-86000-C", "BTC-260925-86000-P"]


def listing(names=OPTIONS, **more) -> bytes:
    rows = [{"symbol": name, "underlying": f"{name.partition('-')[0]}USDT", "expiryDate": EXPIRY_MS, "underlyingType": "CRYPTO",
             **more} for name in names]  # fmt: skip
    return json.dumps({"optionSymbols": rows}).encode()


def many(count: int, ccy: str = "BTC") -> list[str]:
    return [f"{ccy}-260925-{1000 + number}-C" for number in range(count)]


def open_session(at: int = 0, ccys=("BTC",), names=OPTIONS, now_ns=0) -> tuple[BinanceSession, list[bytes]]:
    session = ENTRY.sessions(ccys, now_ns)[at]
    session.relisting.clear()
    session.listed(LISTING, listing(names), now_ns)
    return session, session.opened(now_ns)


def calls(sent: list[bytes], method: str = "SUBSCRIBE") -> list[dict]:
    return [call for call in map(json.loads, sent) if call["method"] == method]


def streams(sent: list[bytes], method: str = "SUBSCRIBE") -> list[str]:
    return [name for call in calls(sent, method) for name in call["params"]]


def acknowledge(session: BinanceSession, sent: list[bytes], now_ns: int) -> None:
    for call in map(json.loads, sent):
        session.received(json.dumps({"result": None, "id": call["id"]}).encode(), now_ns)


def settle(session: BinanceSession, sent: list[bytes], now_ns: int, without: str = "") -> None:
    """Answer everything until the connection has nothing more to say."""
    subscribed = set()
    while sent:
        for call in map(json.loads, sent):
            names = call.get("params", [])
            subscribed = subscribed | set(names) if call["method"] == "SUBSCRIBE" else subscribed - set(names)
            is_list = call["method"] == "LIST_SUBSCRIPTIONS"
            result = sorted(subscribed - {without}) if is_list else None
            session.received(json.dumps({"result": result, "id": call["id"]}).encode(), now_ns)
        now_ns += S
        sent = session.tick(now_ns)


def data(stream: str) -> bytes:
    return f'{{"stream":"{stream}","data":[]}}'.encode()


class TestStreams:
    def test_marks_index_and_listings_are_on_market(self):
        session, sent = open_session(ccys=("BTC", "XRP"), names=[*OPTIONS, "XRP-251219-2.05-P"])
        assert session.ws_path == "/market/stream"
        assert set(streams(sent)) == {
            "!index@arr",
            "!optionSymbol",
            "btcusdt@optionMarkPrice",
            "xrpusdt@optionMarkPrice",
        }

    def test_best_prices_and_trades_are_on_public_each_on_one_connection(self):
        names, found = many(752), []
        for at in range(1, len(ENTRY.sessions(("BTC",), 0))):
            session, _ = open_session(at, names=names)
            assert session.ws_path == "/public/stream"
            found += session.chosen
        assert sorted(found) == sorted(["btcusdt@optionTrade", *(f"{name.lower()}@bookTicker" for name in names)])

    def test_stream_names_are_lower_case(self):
        session, _ = open_session(1, names=many(300))
        contracts = [name.partition("@")[0] for name in session.chosen]
        assert contracts
        assert contracts == [name.lower() for name in contracts]

    def test_a_connection_has_at_most_200_streams_and_soonest_expiries_go_first(self):
        rows = [
            {"symbol": name, "underlying": "BTCUSDT", "expiryDate": 10_000 - at} for at, name in enumerate(many(3000))
        ]
        session = ENTRY.sessions(("BTC",), 0)[1]
        session.listed(LISTING, json.dumps({"optionSymbols": rows}).encode(), 0)
        assert len(session.chosen) == STREAMS_MAX
        assert f"{rows[0]['symbol'].lower()}@bookTicker" not in session.chosen

    def test_coins_not_followed_and_stocks_are_left_out(self):
        session, sent = open_session(names=[*OPTIONS, "ETH-260925-3000-C"])
        assert "ethusdt@optionMarkPrice" not in streams(sent)
        rows = [
            json.loads(one)["optionSymbols"]
            for one in (listing(underlyingType="EQUITY"), listing(["ETH-260925-3000-C"]))
        ]
        session.listed(LISTING, json.dumps({"optionSymbols": rows[0] + rows[1]}).encode(), 0)
        assert "btcusdt@optionMarkPrice" not in session.chosen

    def test_requests_are_small_and_at_most_a_few_a_second(self):
        session, sent = open_session(1, names=many(1000))
        assert len(sent) <= 4
        assert all(len(message) <= CALL_BYTES_MAX + 100 for message in sent)
        asked = set(streams(sent))
        for second in range(1, 4):
            more = session.tick(second * S)
            assert len(more) <= 10
            asked |= set(streams(more))
            acknowledge(session, more, second * S)
        assert asked == set(session.chosen)

    def test_ids_are_unsigned_integers(self):
        _, sent = open_session()
        assert all(type(call["id"]) is int and call["id"] > 0 for call in map(json.loads, sent))


class TestAnswers:
    def test_subscriptions_are_compared_with_what_was_asked_for(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        (check,) = session.tick(S)
        assert json.loads(check)["method"] == "LIST_SUBSCRIPTIONS"
        held = sorted(session.chosen - {"btcusdt@optionMarkPrice"})
        session.received(json.dumps({"result": held, "id": json.loads(check)["id"]}).encode(), S)
        assert session.refused == {"btcusdt@optionMarkPrice"}
        assert session.tick(2 * S) == []
        session.listed(LISTING, listing(), 3 * S)
        assert streams(session.tick(3 * S)) == ["btcusdt@optionMarkPrice"], "after the next listing"

    def test_all_held_is_none_refused(self):
        session, sent = open_session()
        settle(session, sent, 0)
        assert session.refused == set()

    @pytest.mark.parametrize(
        "reply",
        [b'{"code":2,"msg":"Invalid request"}', b'{"error":{"code":2,"msg":"Invalid request"},"id":1}'],
    )
    def test_an_error_replaces_the_connection(self, reply):
        session, _ = open_session()
        with pytest.raises(Reconnect, match="error 2 Invalid request"):
            session.received(reply, S)

    def test_an_unanswered_call_replaces_the_connection(self):
        session, _ = open_session()
        for second in range(int(ANSWER_S_MAX) + 1):
            session.received(data("btcusdt@optionMarkPrice"), second * S)
            session.received(data("!index@arr"), second * S)
            session.tick(second * S)
        with pytest.raises(Reconnect, match="no answer to SUBSCRIBE"):
            session.tick(int((ANSWER_S_MAX + 1) * S))

    def test_undecodable_frames_do_not_stop_it(self):
        session, _ = open_session()
        assert session.received(b"garbage", S) == []
        assert session.received(b'{"stream":"', S) == []


class TestSilence:
    def test_a_silent_mark_stream_is_subscribed_anew_then_the_connection_is_given_up(self):
        """What a dead name or a wrong path looks like."""
        session, sent = open_session()
        settle(session, sent, 0)
        now_ns = int((SILENCE_S["optionMarkPrice"] + 1) * S)
        session.received(data("!index@arr"), now_ns - 1)
        sent = session.tick(now_ns)
        assert streams(sent, "UNSUBSCRIBE") == streams(sent) == ["btcusdt@optionMarkPrice"]
        acknowledge(session, sent, now_ns)
        later_ns = 2 * now_ns
        session.received(data("!index@arr"), later_ns - 1)
        with pytest.raises(Reconnect, match="optionMarkPrice btcusdt silent for 20 s"):
            session.tick(later_ns)

    def test_each_underlying_has_its_own_timer(self):
        session, sent = open_session(ccys=("BTC", "XRP"), names=[*OPTIONS, "XRP-251219-2.05-P"])
        settle(session, sent, 0)
        now_ns = int((SILENCE_S["optionMarkPrice"] + 1) * S)
        session.received(data("!index@arr"), now_ns - 1)
        session.received(data("btcusdt@optionMarkPrice"), now_ns - 1)
        assert streams(session.tick(now_ns)) == ["xrpusdt@optionMarkPrice"]

    def test_best_prices_of_quiet_contracts_may_be_silent_but_not_all_of_them(self):
        session, sent = open_session(1, names=many(300))
        settle(session, sent, 0)
        one = next(name for name in session.chosen if name.endswith("bookTicker"))
        now_ns = 0
        for _ in range(5):
            now_ns += int(SILENCE_S["bookTicker"] * S)
            session.received(data(one), now_ns)
            assert streams(session.tick(now_ns), "UNSUBSCRIBE") == []
        now_ns += int((SILENCE_S["bookTicker"] + 1) * S)
        assert one in streams(session.tick(now_ns), "UNSUBSCRIBE")

    def test_trades_may_be_silent_for_long(self):
        names = many(300)
        at = next(at for at in range(1, 7) if "btcusdt@optionTrade" in open_session(at, names=names)[0].chosen)
        session, sent = open_session(at, names=names)
        settle(session, sent, 0)
        one = next(name for name in session.chosen if name.endswith("bookTicker"))
        for minute in range(1, 31):
            session.received(data(one), minute * 60 * S)
            assert session.tick(minute * 60 * S) == []
        session.received(data(one), 1900 * S)
        assert streams(session.tick(1900 * S)) == ["btcusdt@optionTrade"]


class TestListing:
    def test_the_first_listing_comes_before_the_socket(self):
        assert all(session.relisting == [LISTING] for session in ENTRY.sessions(("BTC", "ETH"), 0))

    def test_what_expires_is_unsubscribed_in_one_call(self):
        session, sent = open_session(1, names=many(200))
        settle(session, sent, 0)
        expired_ns = EXPIRY_MS * 10**6
        session._opened_ns = expired_ns
        for name in session.chosen:
            session.received(data(name), expired_ns)
        session.relisting.clear()
        (call,) = session.tick(expired_ns)
        assert json.loads(call)["method"] == "UNSUBSCRIBE"
        assert set(json.loads(call)["params"]) == {name for name in session.chosen if name.endswith("bookTicker")}

    def test_new_symbols_are_gathered_into_one_listing(self):
        session, sent = open_session(now_ns=DAY_NS)
        settle(session, sent, DAY_NS)
        for _ in range(300):
            session.received(data("!optionSymbol"), DAY_NS + S)
        for name in session.chosen:
            session.received(data(name), DAY_NS + S)
        session.tick(DAY_NS + S)
        assert session.relisting == []
        session.tick(DAY_NS + S + int(RELIST_DELAY_S * S))
        assert session.relisting == [LISTING]

    def test_the_roll_ends_old_streams_and_begins_new_ones(self):
        expiring, staying = many(40), many(40, "ETH")
        session, sent = open_session(1, ("BTC", "ETH"), [*expiring, *staying])
        settle(session, sent, 0)
        old = [name for name in session.chosen if name.startswith("btc-")]
        kept = [name for name in session.chosen if name.startswith("eth-")]
        fresh = [name.replace("260925", "260926") for name in expiring]
        session.listed(LISTING, listing([*fresh, *staying]), 5 * S)
        sent = []
        for second in range(5, 25):
            more = session.tick(second * S)
            acknowledge(session, more, second * S)
            sent += more
        assert set(streams(sent, "UNSUBSCRIBE")) >= set(old)
        assert not set(streams(sent)) & set(kept), "what goes on is not disturbed"
        assert {name for name in session.chosen if "260926" in name} <= set(streams(sent))

    def test_connections_list_again_after_eight_utc_one_after_the_other(self):
        before_ns = DAY_NS + (8 * 3600 - 60) * S
        at_ns = []
        for session in ENTRY.sessions(("BTC",), before_ns):
            session.relisting.clear()
            session.listed(LISTING, listing(), before_ns)
            now_ns = before_ns
            while not session.relisting:
                now_ns += S
                session.tick(now_ns)
            at_ns.append(now_ns - DAY_NS - 8 * 3600 * S)
        assert all(15 * S < after_ns < 60 * S for after_ns in at_ns)
        assert len(set(at_ns)) == len(at_ns)

    def test_listings_are_fetched_again_from_time_to_time(self):
        session, sent = open_session(now_ns=DAY_NS)
        settle(session, sent, DAY_NS)
        later_ns = DAY_NS + int(RELIST_EVERY_S * S)
        for name in session.chosen:
            session.received(data(name), later_ns)
        session.tick(later_ns)
        assert session.relisting == [LISTING]

    def test_an_empty_listing_ends_nothing(self):
        session, sent = open_session()
        settle(session, sent, 0)
        session.listed(LISTING, listing([]), 5 * S)
        assert session.tick(5 * S) == []
        with pytest.raises(Reconnect, match="the listing is empty"):
            ENTRY.sessions(("BTC",), 0)[0].listed(LISTING, listing([]), 0)

    def test_an_unchanged_listing_asks_for_nothing(self):
        session, sent = open_session()
        settle(session, sent, 0)
        session.listed(LISTING, listing(), 5 * S)
        assert session.tick(5 * S) == []


def test_a_connection_is_replaced_before_its_24_hours_each_at_its_own_time():
    ends = []
    for at in range(3):
        session, _ = open_session(at, names=["ETH-260925-3000-C"])
        for minute in range(24 * 60):
            now_ns = minute * 60 * S
            session.received(data("!index@arr"), now_ns)
            session._pending.clear()
            session.tick(now_ns)
            if session.is_leaving:
                ends.append(now_ns)
                break
    assert len(set(ends)) == 3
    assert all((LIFE_S - 3600) * S < end < 24 * 3600 * S for end in ends)


def test_altcoins_add_one_connection_each():
    few, more = (len(ENTRY.sessions(ccys, 0)) for ccys in (("BTC", "ETH"), ("BTC", "ETH", "BNB", "SOL", "XRP", "DOGE")))
    assert more == few + 4
