"""Families of one coin whose forwards differ are told apart: by name, by listing, and in what is stated of a forward."""

import orjson
import pytest

from derivasys.decode import bybit, deribit, okx
from derivasys.messages import Forward, Instrument

_DERIBIT = {
    "kind": "option", "option_type": "call", "strike": 100000, "base_currency": "BTC", "expiration_timestamp": 1798185600000,
    "tick_size": 0.0001, "contract_size": 1, "price_index": "btc_usd", "state": "open",
}  # fmt: skip
_OKX = {
    "instType": "OPTION", "ctMult": "0.01", "ctVal": "1", "ctValCcy": "BTC", "expTime": "1798185600000", "optType": "C", "stk": "100000",
    "state": "live", "tickSz": "0.0001", "lotSz": "1", "minSz": "1", "uly": "BTC-USD",
}  # fmt: skip
_BYBIT = {
    "status": "Trading", "baseCoin": "BTC", "optionsType": "Call", "deliveryTime": "1798185600000",
    "priceFilter": {"tickSize": "5"}, "lotSizeFilter": {"minOrderQty": "0.01"},
}  # fmt: skip


def deribit_listing(symbol, settle):
    kind = "reversed" if settle == "BTC" else "linear"
    return {"result": [{**_DERIBIT, "instrument_name": symbol, "instrument_type": kind, "settlement_currency": settle}]}


def okx_listing(symbol, settle):
    return {"code": "0", "data": [{**_OKX, "instId": symbol, "instFamily": okx.family(symbol), "settleCcy": settle}]}


def bybit_listing(symbol, settle):
    row = {**_BYBIT, "symbol": symbol, "settleCoin": settle, "quoteCoin": "USDT" if settle == "USDT" else "USD"}
    return {"retCode": 0, "retMsg": "success", "result": {"category": "option", "nextPageCursor": "", "list": [row]}}


CASES = [
    (deribit, deribit_listing, "BTC-25DEC26-100000-C", "BTC", "BTC", "BTC-25DEC26"),
    (deribit, deribit_listing, "BTC_USDC-25DEC26-100000-C", "USDC", "USDC", "BTC_USDC-25DEC26"),
    (okx, okx_listing, "BTC-USD-261225-100000-C", "BTC", "BTC-USD", "BTC-USD-261225"),
    (okx, okx_listing, "BTC-USD_UM-261225-100000-C", "USD", "BTC-USD_UM", "BTC-USD_UM-261225"),
    (bybit, bybit_listing, "BTC-25DEC26-100000-C", "USDC", "USDC", "BTC-25DEC26"),
    (bybit, bybit_listing, "BTC-25DEC26-100000-C-USDT", "USDT", "USDT", "BTCUSDT-25DEC26"),
]


@pytest.mark.parametrize(("venue", "listing", "symbol", "settle", "series", "future"), CASES)
def test_name_listing_and_dated_future_agree(venue, listing, symbol, settle, series, future):
    assert venue.contract(symbol).series == series
    assert venue.contract(future).series == series
    assert venue.contract(future).expiry == venue.contract(symbol).expiry
    (found,) = venue.Decoder().decode(orjson.dumps(listing(symbol, settle)), 1)
    assert isinstance(found, Instrument)
    assert found.contract.series == series


def ticker(venue, symbol):
    if venue is deribit:
        data = {
            "timestamp": 1, "state": "open", "instrument_name": symbol, "best_bid_price": 1, "best_bid_amount": 1, "best_ask_price": 2,
            "best_ask_amount": 1, "mark_price": 1.5, "mark_iv": 50, "underlying_price": 99.0, "underlying_index": "X",
        }  # fmt: skip
        return {"method": "subscription", "params": {"channel": f"ticker.{symbol}.100ms", "data": data}}
    if venue is okx:
        row = {"instId": symbol, "ts": "1", "fwdPx": "99.0", "markVol": "0.5", "delta": "0.4", "deltaBS": "0.5"}
        return {"arg": {"channel": "opt-summary", "instFamily": okx.family(symbol)}, "data": [row]}
    row = {
        "symbol": symbol,
        "bidPrice": "1",
        "bidSize": "1",
        "askPrice": "2",
        "askSize": "1",
        "underlyingPrice": "99.0",
    }
    return {"topic": f"tickers.{symbol}", "ts": 1, "type": "snapshot", "data": row}


@pytest.mark.parametrize(("venue", "listing", "symbol", "settle", "series", "future"), CASES)
def test_a_stated_forward_is_that_of_its_series(venue, listing, symbol, settle, series, future):
    events = venue.Decoder().decode(orjson.dumps(ticker(venue, symbol)), 1)
    (forward,) = (event for event in events if isinstance(event, Forward))
    assert (forward.series, forward.price) == (series, 99.0)
