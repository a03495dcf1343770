"""The connector's conversation with OKX, without a socket or a clock."""

import json

import pytest

from derivasys.connect.okx import (
    ANSWER_S_MAX,
    ARGS_PER_REQUEST,
    FAMILIES,
    PING_AFTER_S,
    PONG_S_MAX,
    RELIST_DELAY_S,
    RELIST_EVERY_S,
    REQUESTS_PER_HOUR,
    STREAM_LIMITS,
    STREAM_SILENCE_S_MAX,
    OkxSession,
)
from derivasys.connect.session import Reconnect

S = 10**9
OPTIONS = ["BTC-USD-261225-100000-C", "BTC-USD-261225-100000-P"]
EXPIRY_MS = 1_798_185_600_000
SUMMARY = {"channel": "opt-summary", "instFamily": "BTC-USD"}
INDEX = {"channel": "index-tickers", "instId": "BTC-USD"}


def families(*names: str) -> bytes:
    rows = [{"instType": "OPTION", "instFamily": name, "tickBand": []} for name in names]
    return json.dumps({"code": "0", "msg": "", "data": rows}).encode()


def row(name: str, **changes: str) -> dict:
    family = "-".join(name.split("-")[:2])
    return {
        "instId": name,
        "instType": "OPTION",
        "instFamily": family,
        "state": "live",
        "expTime": str(EXPIRY_MS),
        **changes,
    }


def listing(*rows: dict, code="0") -> bytes:
    return json.dumps({"code": code, "msg": "", "data": rows}).encode()


def requests(sent: list[bytes], op: str = "subscribe") -> list[dict]:
    return [request for message in sent if message != b"ping" and (request := json.loads(message))["op"] == op]


def args(sent: list[bytes], op: str = "subscribe") -> list[dict]:
    return [arg for request in requests(sent, op) for arg in request["args"]]


def tickers(name: str) -> dict:
    return {"channel": "tickers", "instId": name}


def frame(arg: dict) -> bytes:
    return json.dumps({"arg": arg, "data": []}, separators=(",", ":")).encode()


def acknowledge(session: OkxSession, sent: list[bytes], now_ns: int, without=()) -> None:
    for request in requests(sent):
        for arg in request["args"]:
            if arg not in without:
                answer = {"id": request["id"], "event": "subscribe", "arg": arg, "connId": "a4d3ae55"}
                session.received(json.dumps(answer).encode(), now_ns)


def open_session(names=OPTIONS, now_ns=0) -> tuple[OkxSession, list[bytes]]:
    session = OkxSession(["BTC"], now_ns)
    session.relisting.clear()
    session.listed(FAMILIES, families("BTC-USD"), now_ns)
    session.relisting.clear()
    session.listed("options", listing(*map(row, names)), now_ns)
    return session, session.opened(now_ns)


def test_families_are_discovered_with_the_linear_ones_among_them():
    session = OkxSession(["BTC", "SOL"], 0)
    assert session.relisting == [FAMILIES]
    session.relisting.clear()
    session.listed(FAMILIES, families("BTC-USD", "BTC-USD_UM", "SOL-USD_UM", "ETH-USD"), 0)
    assert [path.partition("?")[2] for path in session.relisting] == [
        f"instType={kind}&instFamily={family}"
        for family in ("BTC-USD", "BTC-USD_UM", "SOL-USD_UM")
        for kind in ("OPTION", "FUTURES")
    ]


def test_without_currencies_all_families_are_followed():
    session = OkxSession([], 0)
    session.listed(FAMILIES, families("BTC-USD", "DOGE-USD_UM"), 0)
    assert len(session.relisting) == 1 + 4


def test_subscriptions_are_by_instrument_for_tickers_and_by_family_for_summaries():
    _, sent = open_session()
    asked = args(sent)
    assert [tickers(name) for name in OPTIONS] == [arg for arg in asked if arg["channel"] == "tickers"]
    assert SUMMARY in asked
    assert INDEX in asked
    assert {"channel": "option-trades", "instType": "OPTION", "instFamily": "BTC-USD"} in asked
    assert {"channel": "instruments", "instType": "OPTION"} in asked
    assert {"channel": "status"} in asked
    assert not any("uly" in arg for arg in asked), "rejected by the venue"


def test_after_a_notice_of_maintenance_the_listing_is_asked_for_again():
    session, _ = open_session()
    session.relisting.clear()
    session.received(b'{"arg":{"channel":"status"},"data":[{"state":"completed","title":"x"}]}', 5 * S)
    session.tick(9 * S)
    assert FAMILIES in session.relisting


def test_the_index_of_a_linear_family_is_that_of_its_coin():
    session = OkxSession(["SOL"], 0)
    session.listed(FAMILIES, families("SOL-USD_UM"), 0)
    session.listed("options", listing(row("SOL-USD_UM-261225-100.5-C")), 0)
    asked = args(session.opened(0))
    assert {"channel": "index-tickers", "instId": "SOL-USD"} in asked
    assert {"channel": "opt-summary", "instFamily": "SOL-USD_UM"} in asked


@pytest.mark.parametrize("changes", [{"state": "preopen"}, {"state": "test"}, {"ruleType": "xperp"}])
def test_what_is_not_traded_yet_is_not_subscribed(changes):
    session = OkxSession(["BTC"], 0)
    session.listed("options", listing(row(OPTIONS[0], **changes)), 0)
    assert tickers(OPTIONS[0]) not in args(session.opened(0))


@pytest.mark.parametrize("code", ["51000", "51001"])
def test_a_family_that_does_not_exist_is_passed_over(code):
    session = OkxSession(["BTC"], 0)
    session.listed("/api/v5/public/instruments?instFamily=BTC-USDC", listing(code=code), 0)
    assert session.opened(0) == []


def test_another_error_of_a_listing_replaces_the_connection():
    session = OkxSession(["BTC"], 0)
    with pytest.raises(Reconnect, match="50011"):
        session.listed("options", listing(code="50011"), 0)


def test_large_listings_are_subscribed_in_batches_within_size_and_hourly_budget():
    names = [f"BTC-USD_UM-261225-{100000 + number}-C" for number in range(3000)]
    _, sent = open_session(names)
    assert len(requests(sent)) <= 8
    assert len(args(sent)) == 3000 + 5
    assert all(len(request["args"]) <= ARGS_PER_REQUEST for request in requests(sent))
    assert all(len(message) < 64_000 for message in sent)
    assert all(request["id"].isalnum() and len(request["id"]) <= 32 for request in requests(sent))


def test_no_more_requests_are_made_than_the_venue_allows_in_an_hour():
    session, sent = open_session()
    acknowledge(session, sent, 0)
    made = len(requests(sent))
    for number in range(REQUESTS_PER_HOUR + 50):
        session.listed("options", listing(row(f"BTC-USD-261225-{number + 1}-C")), 0)
        made += len(requests(session.tick(0)))
    assert made == REQUESTS_PER_HOUR


class TestAnswers:
    def test_acknowledgements_come_one_by_one(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        assert len(session.subscribed) == len(args(sent))
        assert session.refused == set()

    @pytest.mark.parametrize(
        "message",
        [
            f"Wrong URL or channel:tickers,instId:{OPTIONS[1]} doesn't exist. Please use the correct URL",
            'Invalid request: {"op":"subscribe","args":['
            + json.dumps(tickers(OPTIONS[1]), separators=(",", ":"))
            + "]}",
        ],
    )
    def test_an_error_refuses_the_channel_it_names_until_the_next_listing(self, message):
        session, sent = open_session()
        acknowledge(session, sent, 0, without=[tickers(OPTIONS[1])])
        session.received(json.dumps({"event": "error", "code": "60018", "msg": message}).encode(), 0)
        assert [json.loads(channel) for channel in session.refused] == [tickers(OPTIONS[1])]
        session.tick(int((ANSWER_S_MAX + 1) * S))
        session.listed("options", listing(*map(row, OPTIONS)), S)
        again = session.tick(S)
        assert args(again) == [tickers(OPTIONS[1])]
        acknowledge(session, again, S)
        assert session.refused == set()

    def test_an_error_that_names_nothing_refuses_what_stays_unanswered(self):
        session, sent = open_session()
        acknowledge(session, sent, 0, without=[tickers(OPTIONS[0])])
        session.received(b'{"event":"error","code":"60012","msg":"Invalid request"}', 0)
        assert session.refused == set()
        session.tick(int((ANSWER_S_MAX + 1) * S))
        assert [json.loads(channel) for channel in session.refused] == [tickers(OPTIONS[0])]

    def test_silence_instead_of_an_acknowledgement_replaces_the_connection(self):
        session, sent = open_session()
        acknowledge(session, sent, 0, without=[SUMMARY])
        with pytest.raises(Reconnect, match="no answer to a subscription"):
            session.tick(int((ANSWER_S_MAX + 1) * S))

    def test_too_many_requests_replace_the_connection(self):
        session, _ = open_session()
        with pytest.raises(Reconnect):
            session.received(b'{"event":"error","code":"60014","msg":"Requests too frequent"}', 0)

    def test_before_a_service_upgrade_the_next_connection_is_opened_first(self):
        session, _ = open_session()
        assert not session.is_leaving
        session.received(b'{"event":"notice","code":"64008","msg":"The connection will soon be closed"}', 0)
        assert session.is_leaving


class TestHeartbeat:
    def test_silence_is_answered_with_a_text_ping(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        assert session.tick(int(PING_AFTER_S * S)) == []
        now_ns = int((PING_AFTER_S + 1) * S)
        assert session.tick(now_ns)[0] == b"ping"
        assert b"ping" not in session.tick(now_ns + S), "one at a time"
        session.received(b"pong", now_ns + 2 * S)
        session.tick(now_ns + int((PONG_S_MAX + 1) * S))

    def test_no_pong_replaces_the_connection(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        now_ns = int((PING_AFTER_S + 1) * S)
        session.tick(now_ns)
        with pytest.raises(Reconnect, match="ping"):
            session.tick(now_ns + int((PONG_S_MAX + 1) * S))


class TestStreams:
    def test_a_silent_stream_is_subscribed_anew_then_given_up(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        now_ns = int((STREAM_LIMITS["opt-summary"] + 1) * S)
        session.received(frame(tickers(OPTIONS[0])), now_ns)
        sent = session.tick(now_ns)
        assert args(sent, "unsubscribe") == [SUMMARY] == args(sent)
        acknowledge(session, sent, now_ns)
        later_ns = now_ns + int((STREAM_LIMITS["opt-summary"] + 1) * S)
        session.received(frame(tickers(OPTIONS[0])), later_ns)
        with pytest.raises(Reconnect, match="opt-summary BTC-USD"):
            session.tick(later_ns)

    def test_a_quiet_stream_that_answers_is_given_more_time(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        now_ns, gaps = 0, []
        for _ in range(40):
            now_ns += 10 * S
            for alive in (SUMMARY, INDEX):
                session.received(frame(alive), now_ns)
            sent = session.tick(now_ns)
            if args(sent, "unsubscribe"):
                gaps.append(now_ns)
                acknowledge(session, sent, now_ns)
                session.received(frame(tickers(OPTIONS[0])), now_ns)
        assert gaps[0] == (STREAM_SILENCE_S_MAX + 10) * S
        assert gaps[1] - gaps[0] == (2 * STREAM_SILENCE_S_MAX + 10) * S

    def test_frames_in_another_key_order_are_heard_too(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        now_ns = int((STREAM_LIMITS["opt-summary"] + 1) * S)
        session.received(b'{"arg":{"instFamily":"BTC-USD","channel":"opt-summary"},"data":[]}', now_ns)
        session.received(frame(tickers(OPTIONS[0])), now_ns)
        assert args(session.tick(now_ns)) == []


class TestRoll:
    @staticmethod
    def changed(*rows: dict) -> bytes:
        message = {"arg": {"channel": "instruments", "instType": "OPTION"}, "data": rows}
        return json.dumps(message, separators=(",", ":")).encode()

    def test_an_expired_contract_is_unsubscribed(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        session.received(self.changed(row(OPTIONS[0], state="expired")), S)
        assert args(session.tick(S), "unsubscribe") == [tickers(OPTIONS[0])]

    def test_what_stops_without_a_notice_is_unsubscribed_at_its_expiry_in_one_request(self):
        now_ns = EXPIRY_MS * 10**6 - S
        session, sent = open_session(now_ns=now_ns)
        acknowledge(session, sent, now_ns)
        session.relisting.clear()
        sent = session.tick(EXPIRY_MS * 10**6)
        assert args(sent, "unsubscribe") == [tickers(name) for name in OPTIONS]
        assert len(requests(sent, "unsubscribe")) == 1
        session.tick(EXPIRY_MS * 10**6 + 19 * S)
        assert session.relisting == []
        session.tick(EXPIRY_MS * 10**6 + 20 * S)
        assert session.relisting == [FAMILIES], "once, should nothing have announced new contracts"

    def test_a_burst_of_new_contracts_is_gathered_into_one_listing(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        for number in range(300):
            session.received(self.changed(row(f"BTC-USD-261226-{number}-C")), S)
        session.tick(S)
        assert session.relisting == []
        session.tick(S + int(RELIST_DELAY_S * S))
        assert session.relisting == [FAMILIES]

    @pytest.mark.parametrize("other", [row("ETH-USD-261226-100-C"), row("BTC-USD-261226-100-C", state="preopen")])
    def test_contracts_of_others_or_not_traded_yet_bring_no_listing(self, other):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        session.received(self.changed(other), S)
        session.tick(S + int(RELIST_DELAY_S * S))
        assert session.relisting == []

    def test_listings_are_fetched_again_from_time_to_time(self):
        session, sent = open_session()
        acknowledge(session, sent, 0)
        now_ns = int(RELIST_EVERY_S * S)
        for alive in (tickers(OPTIONS[0]), SUMMARY, INDEX):
            session.received(frame(alive), now_ns)
        session.tick(now_ns)
        assert session.relisting == [FAMILIES]


def test_undecodable_control_frames_do_not_stop_it():
    session, _ = open_session()
    for payload in (
        b"garbage",
        b'{"arg":{',
        b'{"arg":{"channel":7}}',
        b'{"arg":{"channel":"instruments"},"data":7}',
        b"{}",
    ):
        assert session.received(payload, S) == []
