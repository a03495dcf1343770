"""Contract names of Deribit: every recorded one survives a round trip; look-alikes are refused."""

import pytest

from derivasys.testing.deribit_names import (
    expiry_ms,
    expiry_name,
    option_name,
    parse_option,
)
from derivasys.testing.recordings import load_shipped


@pytest.mark.parametrize("ccy", ["BTC", "ETH"])
def test_recorded_names_round_trip(ccy: str) -> None:
    for row in load_shipped(ccy).rows:
        name = parse_option(row.symbol)
        assert option_name(name.base, name.expiry, name.strike, name.type) == row.symbol


def test_an_expiry_is_eight_in_the_morning_utc() -> None:
    assert expiry_ms("13JAN23") == 1_673_596_800_000  # the documented get_instruments example
    assert expiry_name(1_673_596_800_000) == "13JAN23"
    assert expiry_name(expiry_ms("5JUN26")) == "5JUN26"


def test_a_lower_case_d_is_the_decimal_point() -> None:
    name = parse_option("XRP_USDC-30JUN23-0d625-C")
    assert (name.base, name.strike, name.type) == ("XRP_USDC", 0.625, "C")
    assert option_name("XRP_USDC", name.expiry, 0.625, "C") == "XRP_USDC-30JUN23-0d625-C"


@pytest.mark.parametrize(
    "name",
    ["BTC-PERPETUAL", "BTC-25DEC26", "BTC-CS-19MAY26-70000_75000", "BTC-25XXX26-100-C", "btc-1-C"],
)
def test_other_names_are_no_options(name: str) -> None:
    with pytest.raises(ValueError, match="no Deribit"):
        parse_option(name)
