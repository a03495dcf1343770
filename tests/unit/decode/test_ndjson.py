import json

from derivasys.decode.deribit import contract
from derivasys.decode.ndjson import encode
from derivasys.messages import Forward, Quote


def test_a_quote_is_one_flat_object_with_nulls_for_missing_sides():
    quote = Quote(contract("BTC-25DEC26-100000-C"), 5, 4, None, 0.1, None, 2.0)
    line = json.loads(encode(quote, None))
    assert line == {
        "kind": "quote", "venue": "deribit", "symbol": "BTC-25DEC26-100000-C", "ccy": "BTC", "contract_kind": "option",
        "price_unit": "coin", "expiry": 1798185600000, "strike": 100000.0, "type": "C", "event_ns": 4,
        "bid": None, "ask": 0.1, "bid_size": None, "ask_size": 2.0, "recv_ns": None,
    }  # fmt: skip


def test_a_forward_carries_its_expiry():
    line = json.loads(encode(Forward("deribit", "SYN.BTC", "BTC", 7, 5, 4, 100.0), 5))
    assert (line["kind"], line["expiry"], line["price"], line["recv_ns"]) == ("forward", 7, 100.0, 5)
