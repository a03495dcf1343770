"""Which feeds a configuration opens: venues, currencies, labels, and what it refuses."""

import asyncio

import pytest

from derivasys.config import Config, ConfigError
from derivasys.connect import VENUES
from derivasys.sources import Origin, load_chains, open_origin
from derivasys.testing.servers import SERVERS


def opened(**settings: object) -> Origin:
    """Open an origin and stop its servers."""

    async def main() -> Origin:
        origin = await open_origin(Config(**settings), lambda: 0, lambda *_: None)  # type: ignore[arg-type]
        for feed in origin.feeds:
            for server in feed.servers:
                await server.stop()
        return origin

    return asyncio.run(main())


def test_a_simulation_is_one_feed_with_every_venue_that_can_be_served() -> None:
    origin = opened(source="simulated")
    (feed,) = origin.feeds
    assert origin.venues == tuple(name for name in VENUES if name in SERVERS)
    assert {"BTC", "ETH"} <= set(feed.ccys) <= {"BTC", "ETH", "SOL", "XRP"}
    assert origin.label.startswith(
        "Simulated market started from Deribit BTC 2026-03-13 19:00:16 UTC; Deribit ETH 2024"
    )
    assert set(feed.recorded) == {"BTC", "ETH"}
    for ccys in feed.ccys_of.values():
        assert set(ccys) <= set(feed.ccys)


def test_scaled_coins_are_said_to_be() -> None:
    origin = opened(source="simulated", venues=("deribit",), ccys=("BTC", "SOL"))
    assert origin.label.endswith("; SOL scaled from ETH")
    (feed,) = origin.feeds
    assert feed.ccys == ("BTC", "SOL")
    assert set(feed.recorded) == {"BTC"}


def test_a_replay_has_a_feed_for_each_recorded_instant() -> None:
    origin = opened(source="replay")
    assert [feed.ccys for feed in origin.feeds] == [("BTC",), ("ETH",)]
    assert origin.venues == ("deribit",)
    assert origin.label.startswith("Recording of ")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"source": "simulated", "venues": ("mtgox",)}, "--venue mtgox: not known; there are: binance"),
        ({"source": "simulated", "ccys": ("LUNA",)}, "--ccy LUNA: not simulated; there are: BTC, ETH, SOL"),
        ({"source": "replay", "ccys": ("SOL",)}, "--ccy SOL: no recording is shipped for it"),
    ],
)
def test_what_cannot_be_is_one_line(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=f"^{told}"):
        opened(**settings)


def test_a_folder_without_chains_is_told(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no recorded chain"):
        load_chains(Config(data=tmp_path))
    with pytest.raises(ConfigError, match="no recorded chain"):
        opened(source="simulated", data=tmp_path)
