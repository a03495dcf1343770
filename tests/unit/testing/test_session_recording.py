"""A recorded session: complete, in order, the same for the same seed, and decodable."""

import orjson

from derivasys.testing.recordings import load_shipped
from derivasys.testing.session_recording import record_session

CHAIN = load_shipped("BTC")


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    first = record_session(CHAIN, seed=5, seconds=3.0)
    assert first == record_session(CHAIN, seed=5, seconds=3.0)
    assert first != record_session(CHAIN, seed=6, seconds=3.0)


def test_it_is_what_a_connector_receives() -> None:
    messages = [(ns, orjson.loads(text)) for ns, text in record_session(CHAIN, 1, 60.0, 200.0)]
    instants = [ns for ns, _ in messages]
    assert instants == sorted(instants)
    assert instants[0] == CHAIN.instant_ns
    replies = {m["id"]: m["result"] for _, m in messages if "id" in m}
    assert replies[1] == "ok"
    assert len(replies[2]) == 964
    accepted = {name for n in (3, 4, 5) for name in replies[n]}
    channels = [m["params"]["channel"] for _, m in messages if m.get("method") == "subscription"]
    tickers = {name for name in accepted if name.startswith("ticker.")}
    assert len(tickers) == 964
    assert tickers <= set(channels) <= accepted
    assert 0.8 * 60 * 200 < len(channels) - 964 < 1.2 * 60 * 200
    beats = [m for _, m in messages if m.get("method") == "heartbeat"]
    assert any(m["params"]["type"] == "test_request" for m in beats)


def test_a_repeated_recording_can_be_recorded_too() -> None:
    messages = record_session(CHAIN, seconds=5.0, rate=400.0, is_simulated=False)
    bids = [
        orjson.loads(text)["params"]["data"].get("best_bid_price")
        for _, text in messages
        if b'"ticker.BTC-25DEC26-100000-C.100ms","data"' in text
    ]
    assert len(bids) >= 2
    assert set(bids) == {0.0715}
