"""The venue-side Black-76 against what Deribit itself sent: 365 tickers captured in April 2021."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from derivasys.testing.deribit_names import parse_option
from derivasys.testing.market.black76 import price_greeks
from derivasys.testing.recordings import YEAR_MS, fixtures_dir


def captured_tickers() -> Iterator[dict[str, Any]]:
    for file in sorted((fixtures_dir() / "deribit/captures").glob("*.ws")):
        for line in file.read_bytes().splitlines():
            if line[:1].isdigit() and b'"channel":"ticker.' in line:
                data: dict[str, Any] = orjson.loads(line.partition(b": ")[2])["params"]["data"]
                yield data


def value(data: dict[str, Any], iv_percent: float) -> list[float]:
    """Return price and greeks of a ticker's option, prices in USD."""
    name = parse_option(data["instrument_name"])
    tau = (name.expiry - data["timestamp"]) / YEAR_MS
    numbers = (data["underlying_price"], name.strike, tau, iv_percent / 100.0)
    forward, strike, years, iv = (np.array([x]) for x in numbers)
    out = price_greeks(forward, strike, years, iv, np.array([name.type == "C"]))
    return [float(x[0]) for x in out]


def test_marks_and_greeks_are_those_the_venue_sent() -> None:
    tickers = list(captured_tickers())
    assert len(tickers) == 365
    for data in tickers:
        price, *greeks = value(data, data["mark_iv"])
        around = [value(data, data["mark_iv"] + d) for d in (-0.02, 0.02)]
        names = ("delta", "gamma", "vega", "theta", "rho")
        # The venue prints the IV to 0.01 and computes from more: allow for what 0.02 changes.
        spans = [abs(high - low) for low, high in zip(*around, strict=True)]
        mark = price / data["underlying_price"]
        # The venue revalues marks a moment after the forward: up to 4 bp of it were seen.
        late = 4e-4 * (abs(greeks[0]) + mark)
        assert data["mark_price"] == pytest.approx(mark, abs=late + spans[0] / data["underlying_price"])
        for name, ours, span in zip(names, greeks, spans[1:], strict=True):
            theirs = data["greeks"][name]
            assert theirs == pytest.approx(ours, rel=5e-3, abs=3e-5 + span), (name, data)


def test_the_documented_ticker() -> None:
    data = {
        "instrument_name": "BTC-5JUN20-9250-C",
        "timestamp": 1_590_969_652_595,
        "underlying_price": 9440.73,
    }
    price, delta, gamma, vega, theta, rho = value(data, 63.21)
    assert price / 9440.73 == pytest.approx(0.03847784, abs=3e-7)
    assert delta == pytest.approx(0.62959, abs=1e-5)
    assert gamma == pytest.approx(0.00058, abs=5e-6)
    assert vega == pytest.approx(3.88497, abs=1e-3)
    assert theta == pytest.approx(-28.34113, abs=5e-3)
    assert rho == pytest.approx(0.66242, abs=1e-4)


@pytest.mark.parametrize(("tau", "iv"), [(0.0, 0.5), (0.1, 0.0)])
def test_without_time_or_vol_an_option_is_its_intrinsic_value(tau: float, iv: float) -> None:
    strike = np.array([90.0, 110.0])
    forward, taus, ivs = np.full(2, 100.0), np.full(2, tau), np.full(2, iv)
    price, delta, *others = price_greeks(forward, strike, taus, ivs, np.array([True, True]))
    assert price.tolist() == [10.0, 0.0]
    assert delta.tolist() == [1.0, 0.0]
    assert all(not other.any() for other in others)
