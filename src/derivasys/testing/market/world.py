"""One seeded market of several coins, seen by several venues, all on one clock.

    world = World(chains, seed=1)
    venue = world.venue(terms, names, ccys=("BTC", "ETH", "SOL"), rate=2000.0)
    for market, update in venue.advance(now_ns):
        market.board.ticker[update.rows]

The expiries are laid out from the start instant. A recorded coin's smiles are taken from its chain by time to expiry,
so chains of different years can stand side by side; coins without a chain are scaled (see `coins`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from zlib import crc32

from derivasys.testing.market.board import Board
from derivasys.testing.market.coin import Coin
from derivasys.testing.market.coins import ALTCOINS, Altcoin, shape_of, start_of
from derivasys.testing.market.events import MarketUpdate
from derivasys.testing.market.family import Family, Names
from derivasys.testing.market.ladder import expiry_dates
from derivasys.testing.market.manner import Manner, VenueTerms
from derivasys.testing.market.quoting import Pattern, pattern_of
from derivasys.testing.market.recorded import recorded_board
from derivasys.testing.market.view import MarketView
from derivasys.testing.recordings import RecordedChain

START_CCY = "BTC"
"""Whose recorded instant the world starts at, where there is a choice."""
CCYS = ("BTC", "ETH", "SOL", "XRP")
"""Coins simulated where none are named."""
_RECORDED = Altcoin(0.0, 1.0, 1.0)


class World:
    """The coins and the venues that show them. Time is an argument; the same seed and times give the same bytes."""

    def __init__(
        self,
        chains: Sequence[RecordedChain],
        seed: int = 1,
        start_ns: int | None = None,
        trim: Callable[[VenueTerms], VenueTerms] = lambda terms: terms,
    ) -> None:
        """`start_ns`: else the instant of the BTC chain, or of the first; `trim`: what is shown of a listing."""
        first = next((chain for chain in chains if chain.ccy == START_CCY), chains[0])
        self.chains = tuple(chains)
        self.seed = seed
        self._trim = trim
        self.start_ns = first.instant_ns if start_ns is None else start_ns
        self._coins: dict[str, Coin] = {}
        self._patterns: dict[str, Pattern] = {}

    @property
    def label(self) -> str:
        """Return what the market was started from."""
        return "; ".join(chain.label for chain in self.chains)

    def knows(self, ccy: str) -> bool:
        """Tell whether a coin has a recording or can be scaled from one."""
        return ccy in ALTCOINS or any(chain.ccy == ccy for chain in self.chains)

    def scaled(self, ccys: Sequence[str]) -> str:
        """Return 'SOL, XRP scaled from ETH', empty when each of the coins has a recording."""
        recorded = {chain.ccy for chain in self.chains}
        names = ", ".join(ccy for ccy in ccys if ccy not in recorded)
        return f"{names} scaled from {shape_of(self.chains).ccy}" if names else ""

    def coin(self, ccy: str) -> Coin:
        """Return the one market of a coin."""
        if ccy not in self._coins:
            self._coins[ccy] = Coin(start_of(ccy, self.chains), self.start_ns // 1_000_000, self.seed)
        return self._coins[ccy]

    def venue(
        self, terms: VenueTerms, names: Names, ccys: Sequence[str] | None = None, rate: float = 1000.0,
        families: Sequence[str] | None = None, manner: Manner | None = None,
    ) -> VenueMarket:  # fmt: skip
        """Return one venue's view of all families that it lists on `ccys` (None: all that are known).

        `rate` is option tickers a second over all families; `families` names some of them, None takes all.
        """
        terms = self._trim(terms)
        chosen = [
            family for family in terms.families
            if self.knows(family.ccy)
            and (ccys is None or family.ccy in ccys)
            and (families is None or family.name in families)
        ]  # fmt: skip
        return VenueMarket(terms.venue, [self._view(family, names, manner or terms.manner) for family in chosen], rate)

    def _view(self, family: Family, names: Names, manner: Manner) -> MarketView:
        coin, now_ms = self.coin(family.ccy), self.start_ns // 1_000_000
        index = round(coin.index(coin.at(0)) * (1.0 + manner.premium + family.premium), family.index_digits)
        own_spread = ALTCOINS.get(family.ccy, _RECORDED) if coin.is_scaled else _RECORDED
        view = MarketView(
            Board(family, names, index),
            coin,
            manner=manner,
            spread=manner.spread * own_spread.spread,
            pattern=self._pattern(family.ccy),
            seeds=[self.seed, crc32(f"{family.venue} {family.name}".encode())],
            label=f"simulated, seed {self.seed}, from {coin.label}",
        )
        for ms in expiry_dates(now_ms, family.ladder):
            view.list_date(ms, now_ms)
        view.quote_all()
        return view

    def _pattern(self, ccy: str) -> Pattern:
        chain = next((chain for chain in self.chains if chain.ccy == ccy), shape_of(self.chains))
        if chain.ccy not in self._patterns:
            self._patterns[chain.ccy] = pattern_of(recorded_board(chain), chain.instant_ns // 1_000_000)
        return self._patterns[chain.ccy]


class VenueMarket:
    """One venue's families, each a market of its own on the world's clock."""

    def __init__(self, venue: str, markets: Sequence[MarketView], rate: float) -> None:
        self.venue = venue
        self.markets = tuple(markets)
        self.set_rate(rate)

    def set_rate(self, rate: float) -> None:
        """Share `rate` option tickers a second over the families, by their options and weights."""
        shares = [market.family.weight * len(market.board.symbols) for market in self.markets]
        for market, share in zip(self.markets, shares, strict=True):
            market.set_rate(rate * share / sum(shares))

    @cached_property
    def ccys(self) -> tuple[str, ...]:
        """Return the coins that the venue lists here."""
        return tuple(dict.fromkeys(market.family.ccy for market in self.markets))

    def advance(self, now_ns: int) -> list[tuple[MarketView, MarketUpdate]]:
        """Move all families on to `now_ns` and return what changed in each."""
        return [(market, market.advance(now_ns)) for market in self.markets]

    def market(self, family: str) -> MarketView:
        """Return the market of the family called so by the venue."""
        return next(market for market in self.markets if market.family.name == family)
