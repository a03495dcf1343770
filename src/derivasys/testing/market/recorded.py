"""A board as a recorded chain shows it, and the market that repeats it.

REST book summaries, which chains are recorded from, have no sizes: every quoted side is given the
least amount that can be traded (0.1 BTC, 1 ETH). So sizes on a replayed board mean nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from derivasys.messages import OptionType
from derivasys.testing.deribit_names import expiry_name, option_name
from derivasys.testing.market.board import Board, Expiry, tau_years
from derivasys.testing.market.events import MarketUpdate, nothing
from derivasys.testing.market.family import Family
from derivasys.testing.market.life import DeliveryAverages, settle
from derivasys.testing.market.smiles import Smile, join_smiles, make_smile, smile_iv
from derivasys.testing.market.ticks import Ticks
from derivasys.testing.recordings import YEAR_MS, RecordedChain, RecordedRow

Ints = NDArray[np.int64]
_OPTIONAL = ("bid", "ask", "mark_iv", "last", "high", "low", "price_change", "volume_usd")
_SIDES = ("bid", "ask")


def recorded_family(ccy: str) -> Family:
    """Return Deribit's coin-settled options on BTC or ETH; any other recorded coin is treated like ETH."""
    is_btc = ccy == "BTC"
    return Family(
        venue="deribit", ccy=ccy, name=ccy, price_unit="coin", quote="USD", settle=ccy,
        ticks=Ticks(0.0001, ((0.005, 0.0005),)), min_size=0.1 if is_btc else 1.0, mark_digits=8 if is_btc else 6,
        future_tick=0.5 if is_btc else 0.05, z_max=math.inf,
    )  # fmt: skip


class DeribitNames:
    """Deribit's grammar; all recorded chains are Deribit's."""

    def option(self, family: Family, expiry_ms: int, strike: float, option_type: OptionType) -> str:
        return option_name(family.name, expiry_ms, strike, option_type)

    def future(self, family: Family, expiry_ms: int | None) -> str:
        return f"{family.name}-{'PERPETUAL' if expiry_ms is None else expiry_name(expiry_ms)}"


def recorded_board(chain: RecordedChain) -> Board:
    """Return the board of `chain`: every price and IV as recorded, greeks and quote IVs computed.

    A mark without a recorded IV has that of its expiry's smile. There is no quote of a future in a
    chain: a future's ticker has the recorded forward as its mark and empty sides.
    """
    board = Board(recorded_family(chain.ccy), DeribitNames(), chain.index_price)
    for ms in sorted({row.expiry for row in chain.rows}):
        board.expiries.append(_expiry(chain, ms))
    number = {expiry.ms: i for i, expiry in enumerate(board.expiries)}
    board.add_options(
        [number[row.expiry] for row in chain.rows],
        [row.strike for row in chain.rows],
        [row.type for row in chain.rows],
        [row.time_ms for row in chain.rows],
    )
    time_ms = np.array([row.time_ms for row in chain.rows])
    t = board.ticker
    t["time_ms"], t["index"] = time_ms, chain.index_price
    t["forward"] = [row.underlying_price for row in chain.rows]
    for name in ("open_interest", "volume"):
        t[name] = [getattr(row, name) for row in chain.rows]
    for name in _OPTIONAL:
        values = [getattr(row, name) for row in chain.rows]
        t[name] = [math.nan if value is None else value for value in values]
    for name in _SIDES:
        t[f"{name}_size"] = np.where(np.isnan(t[name]), 0.0, board.min_size)
    _add_marks(board, chain)
    for expiry in board.expiries:
        if expiry.is_listed:
            board.add_future(expiry.ms, expiry.forward, int(time_ms.max()))
    return board


def recorded_smiles(chain: RecordedChain) -> list[Smile]:
    """Return the smile of each expiry, soonest first, from its out-of-the-money mark IVs."""
    by_expiry: dict[int, list[RecordedRow]] = {}
    for row in chain.rows:
        by_expiry.setdefault(row.expiry, []).append(row)
    return [_smile(by_expiry[ms]) for ms in sorted(by_expiry)]


def log_basis(chain: RecordedChain) -> Callable[[float], float]:
    """Return ln(forward / index) as a function of time to expiry (years): linear between expiries, from 0 at 0."""
    expiries = [_expiry(chain, ms) for ms in sorted({row.expiry for row in chain.rows})]
    tau = np.array([0.0, *((expiry.ms - chain.instant_ns // 1_000_000) / YEAR_MS for expiry in expiries)])
    basis = np.array([0.0, *(math.log(expiry.forward / chain.index_price) for expiry in expiries)])

    def at(years: float) -> float:
        if years > tau[-1]:
            return float(basis[-1] * years / tau[-1])
        return float(np.interp(years, tau, basis))

    return at


def _smile(rows: list[RecordedRow]) -> Smile:
    x, iv = [], []
    for row in rows:
        is_otm = (row.type == "C") == (row.strike >= row.underlying_price)
        if is_otm and row.mark_iv is not None and 0.0 < row.mark_iv < 500.0:
            tau = (row.expiry - row.time_ms) / YEAR_MS
            x.append(math.log(row.strike / row.underlying_price) / math.sqrt(tau))
            iv.append(row.mark_iv / 100.0)
    return make_smile(np.array(x), np.array(iv))


def _expiry(chain: RecordedChain, ms: int) -> Expiry:
    rows = [row for row in chain.rows if row.expiry == ms]
    # Rows of one reply carry a few forwards of slightly different moments: take the usual one.
    forward = Counter(row.underlying_price for row in rows).most_common(1)[0][0]
    tau = (ms - rows[0].time_ms) / YEAR_MS
    rate = math.log(forward / chain.index_price) / tau
    return Expiry(ms, rows[0].underlying_index, forward, rate)


def _add_marks(board: Board, chain: RecordedChain) -> None:
    """Complete the IVs and greeks, then put the recorded marks and IVs back as they were."""
    rows = np.arange(len(board.symbols))
    t = board.ticker
    tau = tau_years(board.expiry_ms, t["time_ms"])
    x = np.log(board.strike / t["forward"]) / np.sqrt(tau)
    fitted = smile_iv(join_smiles(recorded_smiles(chain)), board.expiry_of, x)
    recorded = t["mark_iv"].copy()
    board.value(rows, np.where(np.isnan(recorded), fitted, recorded / 100.0), t["time_ms"])
    t["mark"] = [row.mark for row in chain.rows]
    t["mark_iv"] = np.where(np.isnan(recorded), t["mark_iv"], recorded)
    board.imply(rows, t["time_ms"])


class ReplayMarket:
    """Quotes exactly as recorded, announced again and again, one option after the other.

    The recording is a single moment: each announcement differs from the last of its option in
    `time_ms` alone, which follows the clock, so that the feed lives. IVs and greeks are those of
    the recorded moment. Expiries end on time; nothing new is listed.
    """

    is_simulated = False

    def __init__(self, chain: RecordedChain, rate: float = 400.0) -> None:
        """`rate`: tickers per second, over all options of the chain."""
        self.board = recorded_board(chain)
        self.start_ns = chain.instant_ns
        self.label = chain.label
        self._rate = rate
        self._announced = 0
        self._now_ns = chain.instant_ns
        self._second = 0
        self._averages = DeliveryAverages()

    def advance(self, now_ns: int) -> MarketUpdate:
        """Move on to `now_ns` and return what is announced."""
        if now_ns <= self._now_ns:
            return nothing()
        last_ms, now_ms = self._now_ns // 1_000_000, now_ns // 1_000_000
        self._now_ns = now_ns
        self._averages.observe(self.board, last_ms, now_ms)
        life = settle(self.board, self._averages, last_ms, now_ms)
        rows = self._due(now_ns)
        self.board.ticker["time_ms"][rows] = now_ms
        for event in life:
            if event.kind == "option":
                rows = np.append(rows, self.board.row_of[event.symbol])
        second = (now_ns - self.start_ns) // 1_000_000_000
        beat, self._second = second > self._second, second
        futures = [f.symbol for f in self.board.futures.values() if beat and f.state == 0]
        for symbol in futures:
            self.board.futures[symbol].time_ms = now_ms
        return MarketUpdate(np.unique(rows), futures, beat, [], life)

    def estimated_delivery_price(self, expiry_ms: int) -> float:
        """Return the delivery price of an expiry (ms) as far as it is known, USD."""
        return self._averages.price(self.board, expiry_ms)

    def _due(self, now_ns: int) -> Ints:
        target = int((now_ns - self.start_ns) * self._rate / 1e9)
        open_rows = self.board.open_rows()
        count = min(target - self._announced, len(open_rows))
        if count <= 0:
            return np.zeros(0, np.int64)
        first = self._announced
        self._announced = target
        due: Ints = open_rows[(first + np.arange(count)) % len(open_rows)]
        return due
