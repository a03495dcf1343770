import orjson
import pytest

from derivasys.wire.session import CCYS_MAX, CHANNELS, Close, Send, Session, Snapshot
from derivasys.wire.variant import Variant

AVAILABLE = ["BTC", "ETH"]


def say(session: Session, **message) -> list:
    return session.receive(orjson.dumps(message), AVAILABLE, 7)


def error_of(actions: list) -> dict:
    (action,) = actions
    assert isinstance(action, Send)
    body = orjson.loads(action.payload)
    assert body["type"] == "error"
    return body


def test_ping_is_answered_with_its_id():
    (action,) = say(Session(["BTC"]), type="ping", id="a7")
    assert orjson.loads(action.payload) == {"type": "pong", "schema": 1, "ts": 7, "id": "a7"}


def test_selecting_a_currency_replaces_and_snapshots_every_channel():
    session = Session(["BTC"])
    actions = say(session, type="select_currency", ccy="ETH")
    assert session.ccys == ("ETH",)
    assert actions == [Snapshot(channel, "ETH") for channel in CHANNELS]
    assert say(session, type="select_currency", ccy="ETH") == [], "nothing new, nothing sent"


def test_subscribing_adds():
    session = Session(["BTC"])
    session.channels = frozenset({"surface"})
    assert say(session, type="subscribe", channels=["levels"]) == [Snapshot("levels", "BTC")]
    assert say(session, type="subscribe", ccys=["ETH"]) == [Snapshot("surface", "ETH"), Snapshot("levels", "ETH")]
    assert session.ccys == ("BTC", "ETH")


def test_a_currency_asked_for_twice_is_followed_once():
    session = Session(["BTC"])
    assert say(session, type="subscribe", ccys=["ETH", "ETH", "BTC"]) == [
        Snapshot(channel, "ETH") for channel in CHANNELS
    ]
    assert session.ccys == ("BTC", "ETH")


def test_a_new_rate_starts_from_snapshots():
    session = Session(["BTC"])
    assert len(say(session, type="subscribe", rate_ms=50)) == len(CHANNELS)
    assert session.variant.rate_ms == 50


def test_unsubscribing():
    session = Session(["BTC", "ETH"])
    assert say(session, type="unsubscribe", channels=["levels"], ccys=["BTC"]) == []
    assert "levels" not in session.channels
    assert session.ccys == ("ETH",)


def test_resync():
    assert say(Session(["BTC"]), type="resync", channel="levels", ccy="BTC") == [Snapshot("levels", "BTC")]


@pytest.mark.parametrize(
    ("message", "code", "path"),
    [
        ({"type": "select_currency", "ccy": "DOGE"}, "unknown_ccy", "$.ccy"),
        ({"type": "resync", "channel": "levels", "ccy": "DOGE"}, "unknown_ccy", "$.ccy"),
        ({"type": "subscribe", "ccys": ["DOGE"]}, "unknown_ccy", "$.ccys"),
        ({"type": "subscribe", "rate_ms": 7}, "bad_request", "$.rate_ms"),
        ({"type": "subscribe", "channels": ["nothing"]}, "bad_request", "$.channels[0]"),
        ({"type": "select_currency"}, "bad_request", "$"),
        ({"type": "select_currency", "ccy": "BTC", "more": 1}, "bad_request", "$"),
        ({"type": "dance"}, "bad_request", "$.type"),
        ({}, "bad_request", "$"),
        ([], "bad_request", "$"),
    ],
)
def test_bad_requests_are_answered_with_the_path_and_change_nothing(message, code, path):
    session = Session(["BTC"])
    error = error_of(session.receive(orjson.dumps(message), AVAILABLE, 7))
    assert (error["code"], error["path"]) == (code, path)
    assert (session.ccys, session.variant.rate_ms) == (("BTC",), 200)


def test_what_is_not_json_closes_the_connection():  # [W40]
    assert Session(["BTC"]).receive(b"hello", AVAILABLE, 7) == [Close(1007, "not JSON")]
    assert Session(["BTC"]).receive(b"[" * 50_000, AVAILABLE, 7)


def test_currencies_are_bounded():
    many = [f"C{number}" for number in range(CCYS_MAX + 1)]
    actions = Session([]).receive(orjson.dumps({"type": "subscribe", "ccys": many}), many, 7)
    assert error_of(actions)["code"] == "too_many"


def test_form_and_conventions_change_only_what_reads_otherwise():
    session = Session(["BTC"])
    actions = say(session, type="subscribe", conventions={"delta": "premium_adjusted"})
    assert actions == [Snapshot("surface", "BTC"), Snapshot("tenors", "BTC")]
    assert say(session, type="subscribe", conventions={"fly": "half"}) == actions
    assert (session.variant.delta, session.variant.fly) == ("premium_adjusted", "half"), "the other stays"
    assert say(session, type="subscribe", form="expanded") == [Snapshot(channel, "BTC") for channel in CHANNELS]
    assert say(session, type="subscribe", form="expanded") == []
    bad = error_of(say(session, type="subscribe", conventions={"fly": "double"}))
    assert (bad["code"], bad["path"]) == ("bad_request", "$.conventions.fly")


def test_the_address_chooses_as_a_subscription_does():  # [W25] [W29]
    session = Session(["BTC"])
    query = {
        "ccy": "BTC",
        "channels": "surface,fit",
        "rate_ms": "1000",
        "form": "expanded",
        "delta": "forward",
        "fly": "half",
    }
    assert session.open(query, 7) == []
    assert session.channels == {"surface", "fit"}
    assert session.variant == Variant(rate_ms=1000, form="expanded", delta="forward", fly="half")


@pytest.mark.parametrize(
    "query", [{"rate_ms": "7"}, {"form": "flat"}, {"channels": "surface,nothing"}, {"colour": "red"}]
)
def test_a_bad_address_is_answered_and_left_out(query):  # [W30]
    session = Session(["BTC"])
    body = error_of(session.open(query, 7))
    assert (body["code"], body["path"]) == ("bad_request", f"?{next(iter(query))}")
    assert session.variant == Variant()
    assert session.channels == frozenset(CHANNELS)
