"""A simulated market that starts from a recorded board and keeps its character.

The index diffuses at the front at-the-money vol, forwards keep their recorded term structure, each
smile moves in level, skew and curvature about the recorded one, and quotes are re-made about the
mark with the spreads and the gaps the recording has. It is simulated and says so (`is_simulated`).

The market lives on a grid of `STEP_MS` from the recorded moment on, so what it does depends on the
seed alone and not on how often it is asked. A gap of more than `STEPS_MAX` is crossed in one step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from derivasys.testing.market import dynamics
from derivasys.testing.market.board import OPEN, Board, next_tick, round_tick, tau_years
from derivasys.testing.market.events import LifeEvent, MarketUpdate, Print, nothing
from derivasys.testing.market.futures import add_perpetual, move_futures
from derivasys.testing.market.life import DeliveryAverages, settle
from derivasys.testing.market.listing import list_daily
from derivasys.testing.market.recorded import recorded_board, recorded_smiles
from derivasys.testing.market.smiles import join_smiles, smile_iv
from derivasys.testing.recordings import RecordedChain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP_MS = 50
STEPS_MAX = 40
WEIGHTS_EVERY_STEPS = 200
IV_MIN, IV_MAX = 0.05, 5.0

QUOTING = np.dtype(
    [("bid_gap", "f8"), ("ask_gap", "f8"), ("vega", "f8"), ("offset", "f8")]
    + [(name, "?") for name in ("bid_rare", "ask_rare", "bid_gone", "ask_gone")]
)
"""How an option is quoted: recorded distances of bid and ask from the mark (coin), vega recorded,
present offset of both (in spreads), sides that the recording lacks, sides missing now."""
GOES, RETURNS = 0.002, 0.3
"""Chance, at a re-quote, that a side leaves its usual state, quoted or missing, and returns."""
OFFSET_KEEP, OFFSET_SD = 0.9, 0.1
PRINTS_PER_S = 0.5


class SimulatedMarket:
    """A market that moves. The same chain, seed and rate give the same market."""

    is_simulated = True

    def __init__(self, chain: RecordedChain, seed: int, rate: float = 500.0) -> None:
        """`rate`: option tickers per second, over all options of the chain."""
        self.board = recorded_board(chain)
        self.start_ns = chain.instant_ns
        self.label = f"simulated, seed {seed}, from {chain.label}"
        self._rng = np.random.default_rng(seed)
        self._rate = rate
        self._smiles = recorded_smiles(chain)
        self._joined = join_smiles(self._smiles)
        self._moves = dynamics.still(len(self.board.expiries))
        self._index_start = chain.index_price
        self._averages = DeliveryAverages()
        self._quoting = _recorded_quoting(self.board)
        self._start_ms = chain.instant_ns // 1_000_000
        self._steps = 0
        self._weights_step = -WEIGHTS_EVERY_STEPS
        self._rows = np.zeros(0, np.int64)
        self._rates: Floats = np.zeros(0)
        self._trade_seq: dict[int, int] = {}
        self._trade_id = 400_000_000
        add_perpetual(self.board, self._start_ms)
        # Forwards and marks of REST rows are of slightly different moments: make them agree.
        rows = np.arange(len(self.board.symbols))
        self._price(rows, self._start_ms)
        self.board.imply(rows, self._start_ms)

    def advance(self, now_ns: int) -> MarketUpdate:
        """Move on to the last grid point not after `now_ns` and return what changed since."""
        target = (now_ns // 1_000_000 - self._start_ms) // STEP_MS
        if target <= self._steps:
            return nothing()
        if target - self._steps > STEPS_MAX:
            return self._step(target - self._steps)
        updates = [self._step(1) for _ in range(target - self._steps)]
        return MarketUpdate(
            rows=np.unique(np.concatenate([u.rows for u in updates])),
            futures=list(dict.fromkeys(name for u in updates for name in u.futures)),
            index_changed=True,
            prints=[p for u in updates for p in u.prints],
            life=[event for u in updates for event in u.life],
        )

    def estimated_delivery_price(self, expiry_ms: int) -> float:
        """Return the delivery price of an expiry (ms) as far as it is known, USD."""
        return self._averages.price(self.board, expiry_ms)

    def _step(self, steps: int) -> MarketUpdate:
        last_ms = self._start_ms + self._steps * STEP_MS
        self._steps += steps
        now_ms = self._start_ms + self._steps * STEP_MS
        seconds = steps * STEP_MS / 1000.0
        dynamics.step(self._moves, seconds, self._front_iv(), self._rng)
        self._averages.observe(self.board, last_ms, now_ms)
        self._move_forwards(now_ms)
        life = settle(self.board, self._averages, last_ms, now_ms)
        life += self._list(now_ms)
        rows = self._draw(seconds, bool(life))
        self._price(rows, now_ms)
        self._quote(rows)
        self.board.imply(rows, now_ms)
        prints = self._trade(rows, now_ms, seconds)
        futures = move_futures(self.board, now_ms, seconds, self._rng)
        changed = [self.board.row_of[event.symbol] for event in life if event.kind == "option"]
        rows = np.unique(np.concatenate([rows, np.array(changed, np.int64)]))
        return MarketUpdate(rows, futures, True, prints, life)

    def _front_iv(self) -> float:
        """Return the at-the-money vol (decimal) of the soonest open expiry."""
        for number, expiry in enumerate(self.board.expiries):
            if expiry.state == OPEN:
                at = np.array([number]), np.zeros(1)
                return float(smile_iv(self._joined, *at)[0])
        return 0.5

    def _move_forwards(self, now_ms: int) -> None:
        board, moves = self.board, self._moves
        board.index_price = round(self._index_start * float(np.exp(moves.index_log)), 2)
        for number, expiry in enumerate(board.expiries):
            if expiry.state == OPEN:
                tau = max(expiry.ms - now_ms, 0) / (dynamics.YEAR_S * 1000.0)
                noise = dynamics.BASIS_SD * moves.basis[number] * min(1.0, tau * 365.0)
                forward = board.index_price * np.exp(expiry.rate * tau + noise)
                # A listed future has two decimals; the venue prints synthetic ones in full.
                expiry.forward = round(float(forward), 2 if expiry.is_listed else 4)

    def _list(self, now_ms: int) -> list[LifeEvent]:
        """List the next daily expiry once the last has been delivered."""
        listing = list_daily(self.board, now_ms, self._smiles)
        if listing is None:
            return []
        self._smiles.append(listing.smile)
        self._joined = join_smiles(self._smiles)
        dynamics.grow(self._moves)
        like = self._quoting[listing.like_rows].copy()
        self._quoting = np.concatenate([self._quoting, like])
        return listing.life

    def _draw(self, seconds: float, is_new_board: bool) -> Ints:
        """Return the rows re-quoted now: each at its own rate, independently, and all new ones."""
        if is_new_board or self._steps - self._weights_step >= WEIGHTS_EVERY_STEPS:
            self._weights_step = self._steps
            self._rows = self.board.open_rows()
            share = _activity(self.board, self._rows, self._now_ms())
            self._rates = _rates(share, self._rate, STEP_MS / 1000.0)
        chance = 1.0 - np.exp(-self._rates * min(seconds, 1.0))
        is_new = np.isnan(self.board.ticker["mark"][self._rows])
        drawn: Ints = self._rows[(self._rng.random(len(self._rows)) < chance) | is_new]
        return drawn

    def _now_ms(self) -> int:
        return self._start_ms + self._steps * STEP_MS

    def _price(self, rows: Ints, now_ms: int) -> None:
        board, t = self.board, self.board.ticker
        number = board.expiry_of[rows]
        forwards = np.array([expiry.forward for expiry in board.expiries])
        expiry_tau = tau_years(np.array([expiry.ms for expiry in board.expiries]), now_ms)
        level, skew, curvature = dynamics.smile_factors(self._moves, expiry_tau)
        tau = np.maximum(expiry_tau[number], 1e-9)
        forward = forwards[number]
        x = np.log(board.strike[rows] / forward) / np.sqrt(tau)
        iv = smile_iv(self._joined, number, x)
        # In standard deviations, and bounded so that far wings are tilted no further.
        z = x / np.maximum(iv, IV_MIN)
        shape = skew[number] * z / np.sqrt(4.0 + z * z) + curvature[number] * z * z / (4.0 + z * z)
        t["time_ms"][rows], t["forward"][rows] = now_ms, forward
        t["index"][rows] = board.index_price
        board.value(rows, np.clip(iv * level[number] + shape, IV_MIN, IV_MAX), now_ms)

    def _quote(self, rows: Ints) -> None:
        board, t, n = self.board, self.board.ticker, len(rows)
        q = self._quoting[rows]
        draw = self._rng.random((2, n))
        for side, u in zip(("bid", "ask"), draw, strict=True):
            usual = q[f"{side}_gone"] == q[f"{side}_rare"]
            q[f"{side}_gone"] ^= u < np.where(usual, GOES, RETURNS)
        spread_noise = np.sqrt(1.0 - OFFSET_KEEP**2) * OFFSET_SD
        q["offset"] = OFFSET_KEEP * q["offset"] + spread_noise * self._rng.standard_normal(n)
        self._quoting[rows] = q
        scale = np.clip(t["vega"][rows] / np.maximum(q["vega"], 1e-5), 0.5, 2.0)
        shift = t["mark"][rows] + q["offset"] * (q["bid_gap"] + q["ask_gap"]) * scale
        bid = round_tick(np.maximum(shift - q["bid_gap"] * scale, 0.0))
        ask = np.maximum(round_tick(np.maximum(shift + q["ask_gap"] * scale, 0.0)), next_tick(bid))
        # Nobody sells below intrinsic value, so that an ask always has an IV.
        floor = np.where(board.is_call[rows], 1.0, -1.0)
        floor = np.maximum(floor * (1.0 - board.strike[rows] / t["forward"][rows]), 0.0)
        ask = np.where(ask > floor, ask, next_tick(round_tick(floor)))
        bid = np.where(q["bid_gone"] | (bid <= 0.0), np.nan, bid)
        ask = np.where(q["ask_gone"], np.nan, ask)
        sizes = self._rng.lognormal(np.log(80.0), 1.0, (2, n))
        keep = self._rng.random((2, n)) < 0.8
        for i, (side, price) in enumerate((("bid", bid), ("ask", ask))):
            size = np.maximum(np.rint(sizes[i]), 1.0) * board.min_size
            same = keep[i] & (price == t[side][rows]) & (t[f"{side}_size"][rows] > 0.0)
            size = np.where(same, t[f"{side}_size"][rows], np.round(size, 1))
            t[f"{side}_size"][rows] = np.where(np.isnan(price), 0.0, size)
            t[side][rows] = price

    def _trade(self, rows: Ints, now_ms: int, seconds: float) -> list[Print]:
        count = int(self._rng.poisson(PRINTS_PER_S * min(seconds, 1.0)))
        t = self.board.ticker
        quoted = rows[~np.isnan(t["bid"][rows]) & ~np.isnan(t["ask"][rows])]
        if not count or not len(quoted):
            return []
        return [self._print(int(row), now_ms) for row in self._rng.choice(quoted, count)]

    def _print(self, row: int, now_ms: int) -> Print:
        """Let a taker lift the ask or hit the bid of `row`."""
        t, side = self.board.ticker, "ask" if self._rng.random() < 0.5 else "bid"
        price, last = float(t[side][row]), float(t["last"][row])
        most = float(t[f"{side}_size"][row]) / self.board.min_size
        lots = int(self._rng.integers(1, max(round(most), 1) + 1))
        amount = round(lots * self.board.min_size, 1)
        self._trade_id += 1
        self._trade_seq[row] = self._trade_seq.get(row, 0) + 1
        t["last"][row] = price
        t["volume"][row] = round(float(t["volume"][row]) + amount, 1)
        premium = amount * price * self.board.index_price
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


def _activity(board: Board, rows: Ints, now_ms: int) -> Floats:
    """Return each option's share of all messages: most near the money and soon to expire."""
    t = board.ticker
    tau = np.maximum(tau_years(board.expiry_ms[rows], now_ms), 1e-6)
    iv = np.nan_to_num(t["mark_iv"][rows], nan=50.0) / 100.0
    z = np.log(board.strike[rows] / t["forward"][rows]) / (np.maximum(iv, 0.1) * np.sqrt(tau))
    weight = (0.1 + np.exp(-0.5 * z * z)) * (0.4 + 1.0 / np.sqrt(1.0 + 365.0 * tau / 3.0))
    share: Floats = weight / weight.sum()
    return share


def _rates(share: Floats, total: float, seconds: float) -> Floats:
    """Return rates proportional to `share` at which `total` options a second are drawn.

    An option is drawn at most once a step of `seconds`, so busy ones saturate and all rates rise
    until the total is met, or nearly every option is drawn in every step.
    """
    wanted = min(total * seconds, 0.98 * len(share))
    low, high = 0.0, 1e4
    for _ in range(50):
        factor = 0.5 * (low + high)
        drawn = float(np.sum(1.0 - np.exp(-factor * wanted * share)))
        low, high = (factor, high) if drawn < wanted else (low, factor)
    rates: Floats = high * wanted * share / seconds
    return rates


def _recorded_quoting(board: Board) -> NDArray[np.void]:
    t = board.ticker
    q = np.zeros(len(board.symbols), QUOTING)
    bid, ask, mark = t["bid"], t["ask"], t["mark"]
    q["bid_rare"] = q["bid_gone"] = np.isnan(bid)
    q["ask_rare"] = q["ask_gone"] = np.isnan(ask)
    # A side that the recording lacks would be wide: a fifth of the premium and two ticks.
    wide = 0.2 * mark + 0.0002
    q["bid_gap"] = np.where(np.isnan(bid), wide, mark - bid)
    q["ask_gap"] = np.where(np.isnan(ask), wide, ask - mark)
    q["vega"] = t["vega"]
    return q
