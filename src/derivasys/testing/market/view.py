"""One family's market as its venue shows it: the coin's market seen a little late, in the venue's own terms.

Index and forwards carry the venue's own small basis, vols its own small deviation; quotes are re-made about the mark
at the venue's spreads. The view lives on the coin's grid, so what it does depends on the seeds alone and not on how
often it is asked; a gap of more than `steps_max` steps is crossed in one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from derivasys.testing.market import activity, dynamics, kernels
from derivasys.testing.market.board import DELIVERED, OPEN, Board, tau_years
from derivasys.testing.market.coin import STEP_MS, STEPS_MAX, Coin
from derivasys.testing.market.events import LifeEvent, MarketUpdate, Print, nothing
from derivasys.testing.market.futures import move_futures
from derivasys.testing.market.life import DeliveryAverages, settle
from derivasys.testing.market.listing import due_dates, list_expiry, list_strikes, listing_life, missing_strikes
from derivasys.testing.market.manner import Manner
from derivasys.testing.market.quoting import Pattern, pattern_quoting

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RATES_EVERY_STEPS = 200
FUTURES_EVERY_STEPS = 4
OWN_REVERSION_S = 300.0
"""Of the venue's own deviations."""
UNITS = {"coin": 0, "quote": 1}
DISCOUNTED = 2


class MarketView:
    """A family's market that moves; see `events.Market`."""

    is_simulated = True

    def __init__(
        self,
        board: Board,
        coin: Coin,
        *,
        manner: Manner,
        pattern: Pattern,
        seeds: Sequence[int],
        label: str,
        rate: float = 500.0,
        spread: float = 1.0,
    ) -> None:
        """`rate`: option tickers a second, over all options of the board; `spread`: of its quotes, see `Manner`."""
        self.board = board
        self.coin = coin
        self.family = board.family
        self.start_ns = coin.start_ms * 1_000_000
        self.label = label
        self.rate = rate
        self._manner = manner
        self._spread = spread
        self._pattern = pattern
        self._rng = np.random.default_rng(seeds)
        self.steps_max = STEPS_MAX
        """More steps than this are crossed in one; 1 makes a cheaper, coarser market."""
        self._lag = manner.latency_ms // STEP_MS
        self._steps = 0
        self._averages = DeliveryAverages()
        self._ticks = self.family.ticks.table
        self._scales = 10.0 ** np.array([self.family.mark_digits, self.family.iv_digits, self.family.greek_digits])
        self._unit = DISCOUNTED if self.family.is_discounted else UNITS[self.family.price_unit]
        self._quoting = np.zeros(0, np.void)
        self._own: Floats = np.zeros((2, 0))
        """The venue's own deviation of level and of basis, by expiry, in standard deviations."""
        self._slots: Ints = np.zeros(0, np.int64)
        self._rates_step = -RATES_EVERY_STEPS
        self._rows = np.zeros(0, np.int64)
        self._chance: Floats = np.zeros(0)
        self._trade_seq: dict[int, int] = {}
        self._trade_id = 400_000_000
        self._life: list[LifeEvent] = []
        """Changes of the listing that the next step tells of."""
        if self.family.has_perpetual:
            board.add_future(None, board.index_price, coin.start_ms)
        if board.expiries:
            self._account()

    def advance(self, now_ns: int) -> MarketUpdate:
        """Move on to the last grid point not after `now_ns` and return what changed since."""
        target = (now_ns // 1_000_000 - self.coin.start_ms) // STEP_MS
        if target <= self._steps:
            return nothing()
        if target - self._steps > self.steps_max:
            return self._step(target - self._steps)
        updates = [self._step(1) for _ in range(target - self._steps)]
        if len(updates) == 1:
            return updates[0]
        return MarketUpdate(
            rows=np.unique(np.concatenate([u.rows for u in updates])),
            futures=list(dict.fromkeys(name for u in updates for name in u.futures)),
            index_changed=True,
            prints=[p for u in updates for p in u.prints],
            life=[event for u in updates for event in u.life],
        )

    def estimated_delivery_price(self, expiry_ms: int) -> float:
        """Return the delivery price of an expiry (ms) as far as it is known, quote currency."""
        return self._averages.price(self.board, expiry_ms)

    def set_rate(self, rate: float) -> None:
        """Send `rate` option tickers a second from the next step on."""
        self.rate = rate
        self._rates_step = self._steps - RATES_EVERY_STEPS

    def now_ms(self) -> int:
        """Return the grid point that the board is of."""
        return self.coin.start_ms + self._steps * STEP_MS

    # --- one step ---

    def _step(self, steps: int) -> MarketUpdate:
        last_ms = self.now_ms()
        self._steps += steps
        now_ms = self.now_ms()
        seconds = steps * STEP_MS / 1000.0
        self.coin.advance(self._steps)
        self._drift(seconds)
        self._averages.observe(self.board, last_ms, now_ms)
        self._move_forwards(now_ms)
        life = self._life + settle(self.board, self._averages, last_ms, now_ms)
        self._life = []
        life += self._list(now_ms)
        rows = self._draw(seconds, bool(life))
        self._requote(rows, now_ms)
        prints = self._trade(rows, now_ms, seconds)
        futures = []
        if steps > 1 or self._steps % FUTURES_EVERY_STEPS == 0:
            futures = move_futures(self.board, now_ms, max(steps, FUTURES_EVERY_STEPS) * STEP_MS / 1000.0, self._rng)
        if life:
            changed = [self.board.row_of[event.symbol] for event in life if event.kind == "option"]
            rows = np.unique(np.concatenate([rows, np.array(changed, np.int64)]))
        return MarketUpdate(rows, futures, True, prints, life)

    def _drift(self, seconds: float) -> None:
        if self._manner.level_sd or self._manner.basis_sd:
            keep = np.exp(-seconds / OWN_REVERSION_S)
            noise = self._rng.standard_normal(self._own.shape)
            self._own = keep * self._own + np.sqrt(1.0 - keep * keep) * noise

    def _move_forwards(self, now_ms: int) -> None:
        """Set index and forwards as the venue now sees them, and what else `value_rows` reads by expiry."""
        board, coin, digits = self.board, self.coin, self.family.index_digits
        moves = coin.at(self._steps - self._lag)
        board.index_price = round(coin.index(moves) * (1.0 + self._manner.premium + self.family.premium), digits)
        tau = tau_years(self._expiry_ms, now_ms)
        noise = dynamics.BASIS_SD * moves.basis[self._slots] + self._manner.basis_sd * self._own[1]
        forwards = board.index_price * np.exp(self._rate * tau + noise * np.minimum(1.0, tau * 365.0))
        # A listed future has the index's decimals; the venue prints synthetic ones in more.
        forwards = np.where(self._is_listed, np.round(forwards, digits), np.round(forwards, digits + 2))
        level, skew, curvature = dynamics.smile_factors(moves, tau, self._slots)
        level = level * (1.0 + self._manner.level_sd * self._own[0])
        for expiry, forward in zip(board.expiries, forwards.tolist(), strict=True):
            if expiry.state == OPEN:
                expiry.forward = forward
        self._by_expiry = np.array([tau, [e.forward for e in board.expiries], level, skew, curvature])

    def _account(self) -> None:
        """Take note of the board's expiries after a change."""
        board, coin = self.board, self.coin
        self._expiry_ms = np.array([expiry.ms for expiry in board.expiries], np.int64)
        self._slots = np.array([coin.slot_of[expiry.ms] for expiry in board.expiries], np.int64)
        self._rate = np.array([expiry.rate for expiry in board.expiries])
        self._is_listed = np.array([expiry.is_listed for expiry in board.expiries])
        added = len(board.expiries) - self._own.shape[1]
        self._own = np.concatenate([self._own, self._rng.standard_normal((2, added))], axis=1)
        self._move_forwards(self.now_ms())

    def _list(self, now_ms: int) -> list[LifeEvent]:
        """List what the ladder now asks for."""
        dates = due_dates(self.board, now_ms)
        if not dates:
            return []
        known = set(self.board.futures)
        rows = [self.list_date(ms, now_ms) for ms in dates]
        return listing_life(self.board, np.concatenate(rows), set(self.board.futures) - known, now_ms)

    def list_date(self, ms: int, now_ms: int) -> Ints:
        """List one expiry and value its options; they are quoted at the next draw."""
        forward = self.board.index_price * float(
            np.exp(self.coin.rates[self.coin.slot_of[ms]] * max(ms - now_ms, 0) / (dynamics.YEAR_S * 1000.0))
        )
        rows = list_expiry(self.board, self.coin, ms, round(forward, self.family.index_digits), now_ms)
        self._account()
        self._prepare(rows, now_ms)
        return rows

    def _prepare(self, rows: Ints, now_ms: int) -> None:
        """Value new rows and settle how they are quoted; the next draw quotes them."""
        self.price(rows, now_ms)
        quoting = pattern_quoting(self.board, rows, self._pattern, now_ms, self._spread, self._manner.gaps, self._rng)
        self._quoting = np.concatenate([self._quoting, quoting]) if len(self._quoting) else quoting
        self.board.ticker["mark"][rows] = np.nan

    def list_strikes(self, number: int, count: int) -> list[str]:
        """List up to `count` strikes that the expiry of this number lacks near its forward; return their symbols."""
        now_ms = self.now_ms()
        strikes = missing_strikes(self.board, self.coin, number, count, now_ms)
        if not strikes:
            return []
        rows = list_strikes(self.board, number, strikes, now_ms)
        self._prepare(rows, now_ms)
        self._life += listing_life(self.board, rows, (), now_ms)
        return [self.board.symbols[row] for row in rows.tolist()]

    def delist(self, rows: Sequence[int]) -> list[str]:
        """Take open options off the listing before their expiry; return their symbols."""
        t, now_ms = self.board.ticker, self.now_ms()
        for row in rows:
            self.board.state[row] = DELIVERED
            t["time_ms"][row] = now_ms
            for name in ("bid", "ask"):
                t[name][row], t[f"{name}_size"][row] = np.nan, 0.0
            self._life.append(LifeEvent(now_ms, self.board.symbols[row], "option", "delivered"))
        return [self.board.symbols[row] for row in rows]

    def _draw(self, seconds: float, is_new_board: bool) -> Ints:
        """Return the rows re-quoted now: each at its own rate, independently, and all new ones."""
        if is_new_board or self._steps - self._rates_step >= RATES_EVERY_STEPS:
            self._rates_step = self._steps
            self._rows = self.board.open_rows()
            share = activity.shares(self.board, self._rows, self.now_ms())
            self._chance = activity.rates(share, self.rate, STEP_MS / 1000.0)
        chance = 1.0 - np.exp(-self._chance * min(seconds, 1.0))
        is_new = np.isnan(self.board.ticker["mark"][self._rows])
        drawn: Ints = self._rows[(self._rng.random(len(self._rows)) < chance) | is_new]
        return drawn

    def price(self, rows: Ints, now_ms: int) -> Floats:
        """Value `rows` of the board; see `kernels.value_rows`."""
        board, joined = self.board, self.coin.joined
        valued: Floats = kernels.value_rows(
            board.ticker, rows, board.expiry_of, board.strike, board.is_call, now_ms, board.index_price,
            self._by_expiry, self._slots, joined.offset, joined.x, joined.iv, joined.slope, self._unit, self._scales,
        )  # fmt: skip
        return valued

    def _requote(self, rows: Ints, now_ms: int) -> None:
        board = self.board
        valued = self.price(rows, now_ms)
        kernels.quote_rows(
            board.ticker, self._quoting, rows, board.strike, board.is_call, valued,
            self._rng.random((4, len(rows))), self._rng.standard_normal((3, len(rows))), self._ticks, board.min_size,
        )  # fmt: skip
        board.imply_valued(rows, valued)

    def quote_all(self) -> None:
        """Quote every open option, as at the start of a market that is not a recording."""
        self._requote(self.board.open_rows(), self.now_ms())

    # --- trades ---

    def _trade(self, rows: Ints, now_ms: int, seconds: float) -> list[Print]:
        count = int(self._rng.poisson(self._manner.prints_per_s * min(seconds, 1.0)))
        if not count:
            return []
        t = self.board.ticker
        quoted = rows[~np.isnan(t["bid"][rows]) & ~np.isnan(t["ask"][rows])]
        if not len(quoted):
            return []
        return [self._print(int(row), now_ms) for row in self._rng.choice(quoted, count)]

    def _print(self, row: int, now_ms: int) -> Print:
        """Let a taker lift the ask or hit the bid of `row`."""
        t, side = self.board.ticker, "ask" if self._rng.random() < 0.5 else "bid"
        price, last = float(t[side][row]), float(t["last"][row])
        most = float(t[f"{side}_size"][row]) / self.board.min_size
        lots = int(self._rng.integers(1, max(round(most), 1) + 1))
        amount = round(lots * self.board.min_size, 6)
        self._trade_id += 1
        self._trade_seq[row] = self._trade_seq.get(row, 0) + 1
        t["last"][row] = price
        t["volume"][row] = round(float(t["volume"][row]) + amount, 6)
        premium = amount * price * (self.board.index_price if self.family.price_unit == "coin" else 1.0)
        t["volume_usd"][row] = round(float(np.nan_to_num(t["volume_usd"][row])) + premium, 2)
        t["high"][row] = np.fmax(t["high"][row], price)
        t["low"][row] = np.fmin(t["low"][row], price)
        return Print(
            row=row,
            time_ms=now_ms,
            price=price,
            amount=amount,
            direction="buy" if side == "ask" else "sell",
            # 0 plus, 1 zero-plus, 2 minus, 3 zero-minus tick
            tick_direction=0 if not price <= last else 2 if price < last else 1,
            trade_seq=self._trade_seq[row],
            trade_id=self._trade_id,
            mark=float(t["mark"][row]),
            iv=float(t[f"{side}_iv"][row]),
            index=self.board.index_price,
        )
