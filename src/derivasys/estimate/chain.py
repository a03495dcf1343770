"""The live option chain of one currency: columns by instrument, written by events, read by cycles.

A message writes a few cells of one row; a cycle reads the rows of the expiries that messages touched. Rows are kept in
order of expiry, strike, venue, series and type, so that an expiry is one slice of every column. What messages write
lies together by row and is written by one `struct` call, which costs less than item assignments to columns.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.messages import (
    Contract,
    Event,
    Forward,
    Gap,
    Index,
    Instrument,
    Mark,
    Quote,
    Status,
    Trade,
)

ROWS_MAX = 65_536
"""Instruments of one currency; listings beyond it are counted as `chain_full` and not kept."""
AHEAD_NS_MAX = 60_000_000_000
"""A quote dated further ahead of its arrival than clocks can disagree is not believed."""
CLOSED_STATES = frozenset({"closed", "delivered", "settled", "archivized", "terminated"})
"""A contract in such a state leaves the chain."""
OPEN_STATES = frozenset({"open", "created", "started"})

_LIVE = np.dtype(
    [("bid", "f8"), ("ask", "f8"), ("bid_size", "f8"), ("ask_size", "f8"),
     ("event_ns", "i8"), ("recv_ns", "i8"), ("as_of_ns", "i8"),
     ("mark", "f8"), ("mark_iv", "f8"),
     ("last_iv", "f8"), ("last_ns", "i8")]
)  # fmt: skip
"""What messages write of a row: a quote, a mark, a print."""
_ROW_BYTES = _LIVE.itemsize
_QUOTE, _MARK, _LAST = struct.Struct("=4d3q"), struct.Struct("=2d"), struct.Struct("=dq")
_MARK_AT, _LAST_AT = _QUOTE.size, _QUOTE.size + _MARK.size
_EMPTY = np.array((*[math.nan] * 4, 0, 0, 0, *[math.nan] * 3, 0), _LIVE)
_FLOAT_TERMS = ("strike", "tick", "fee_rate")
_INT_TERMS = ("expiry", "slot", "venue", "series")
_BOOL_TERMS = ("is_call", "is_coin", "is_open")
_NAN = math.nan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class VenueForward(Struct):
    """What one venue says of the forward of one series and expiry, in quote currency.

    Times are the earlier of event and arrival.
    """

    price: float = math.nan
    name: str = ""
    recv_ns: int = 0
    spread: float = math.nan
    """Half the range of the prices stated lately: rows of one expiry do not move in step."""
    future_bid: float = math.nan
    future_ask: float = math.nan
    future_recv_ns: int = 0


class Chain:
    """All options of one currency on all venues.

    Columns (`bid`, `ask`, … in the contract's own unit, NaN where there is none; `recv_ns`, `event_ns`, `as_of_ns`;
    `slot`, the position of the row's expiry in `expiries`; `venue`, the position of its name in `venues`; `series`, the
    position of its venue and series in `all_series`) have one entry a row. A quote's age counts from `as_of_ns`, the
    earlier of its event and its arrival: what comes late is old.
    """

    strike: Floats
    tick: Floats
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    mark: Floats
    mark_iv: Floats
    last_iv: Floats
    fee_rate: Floats
    event_ns: Ints
    recv_ns: Ints
    as_of_ns: Ints
    last_ns: Ints
    expiry: Ints
    slot: Ints
    venue: Ints
    series: Ints
    is_call: Bools
    is_coin: Bools
    is_open: Bools

    def __init__(self, ccy: str) -> None:
        self.ccy = ccy
        self.contracts: list[Contract] = []
        self.expiries: list[int] = []
        """Listed expiries, ms UTC, ascending."""
        self.starts: Ints = np.zeros(1, np.int64)
        """Rows of expiry i are starts[i]:starts[i+1]."""
        self.venues: list[str] = []
        self.all_series: list[tuple[str, str]] = []
        """Venue and series: the contracts that share the forward of an expiry."""
        self.forwards: dict[tuple[str, str, int], VenueForward] = {}
        """By venue, series and expiry."""
        self.index: dict[str, tuple[float, int]] = {}
        """By venue: spot index and the earlier of its event and its arrival."""
        self.ignored: Counter[tuple[str, str]] = Counter()
        """Events that changed nothing, by venue and reason."""
        self.layout = 0
        """Counts rebuilds: rows keep their places while it stands still."""
        self._row: dict[tuple[str, str], int] = {}
        self._row_of: dict[Contract, int] = {}
        """The same by contract, as far as it was asked for since the last rebuild: half the cost, once a message."""
        self._listing: dict[tuple[str, str], Instrument] = {}
        self._dirty: set[int] = set()
        self._is_stale_layout = False
        self._w: dict[str, memoryview[Any]] = {}
        """The columns of terms, as memoryviews: item assignment at half of numpy's cost."""
        self.handlers: dict[type, Callable[[Any], None]] = {
            Quote: self._apply_quote,
            Mark: self._apply_mark,
            Forward: self._apply_forward,
            Index: self._apply_index,
            Instrument: self._apply_instrument,
            Status: self._apply_status,
            Gap: self._apply_gap,
            Trade: self._apply_trade,
        }
        """What writes an event, by its type."""
        self._live = np.full(0, _EMPTY)
        self._allocate(0)

    def __len__(self) -> int:
        return len(self.contracts)

    def apply(self, event: Event) -> None:
        """Write one event of this currency."""
        self.handlers[type(event)](event)

    def take_dirty(self, now_ns: int) -> list[int]:
        """Drop what has expired, put new listings in their place, and return the expiries written to since last time.

        Rows, slots and columns are valid from here to the next event.
        """
        now_ms = now_ns // 1_000_000
        if self.expiries and self.expiries[0] <= now_ms:
            gone = [key for key, at in self._listing.items() if (at.contract.expiry or 0) <= now_ms]
            for key in gone:
                del self._listing[key]
            self._is_stale_layout = True
        if self._is_stale_layout:
            self._rebuild()
        dirty = sorted(self._dirty.intersection(self.expiries))
        self._dirty.clear()
        return dirty

    # --- events ---

    def _find(self, of: Contract) -> int | None:
        """Return a contract's row, None before its listing."""
        row = self._row.get((of.venue, of.symbol))
        if row is not None:
            self._row_of[of] = row
        return row

    def _apply_quote(self, event: Quote) -> None:
        of = event.contract
        if of.kind != "option":
            self._apply_future(event)
            return
        row = self._row_of.get(of)
        if row is None:
            row = self._find(of)
            if row is None:
                self.ignored[of.venue, "unlisted"] += 1
                return
        as_of_ns = recv_ns = event.recv_ns
        event_ns = event.event_ns
        before_ns = self._event_ns[row]
        if event_ns is None:
            event_ns = before_ns
        elif event_ns < before_ns:
            self.ignored[of.venue, "out_of_order"] += 1
            return
        elif event_ns > recv_ns + AHEAD_NS_MAX:
            # Believed, it would shut out every quote to come until that time.
            self.ignored[of.venue, "time_ahead"] += 1
            return
        elif before_ns and before_ns < event_ns < recv_ns:
            # A venue's time may be that of the quote's last change: what is stated for the first time or anew is as
            # fresh as its arrival, however long ago it changed. A change that arrives late is old.
            as_of_ns = event_ns
        bid, ask, bid_size, ask_size = event.bid, event.ask, event.bid_size, event.ask_size
        _QUOTE.pack_into(
            self._live_bytes, row * _ROW_BYTES,
            _NAN if bid is None else bid, _NAN if ask is None else ask,
            _NAN if bid_size is None else bid_size, _NAN if ask_size is None else ask_size,
            event_ns, recv_ns, as_of_ns,
        )  # fmt: skip
        self._dirty.add(self._w["expiry"][row])

    def _apply_future(self, event: Quote) -> None:
        of = event.contract
        if of.kind != "future" or of.expiry is None:
            return
        forward = self._forward_of(of.venue, of.series, of.expiry)
        as_of_ns = self._as_of(event, of.venue, forward.future_recv_ns)
        if as_of_ns is None:
            return
        forward.future_bid = math.nan if event.bid is None else event.bid
        forward.future_ask = math.nan if event.ask is None else event.ask
        forward.future_recv_ns = as_of_ns
        self._dirty.add(of.expiry)

    def _apply_mark(self, event: Mark) -> None:
        of = event.contract
        row = self._row_of.get(of)
        if row is None:
            row = self._find(of)
            if row is None:
                return
        price, iv = event.price, event.iv
        _MARK.pack_into(
            self._live_bytes, row * _ROW_BYTES + _MARK_AT, _NAN if price is None else price, _NAN if iv is None else iv
        )

    def _apply_trade(self, event: Trade) -> None:
        of = event.contract
        row = self._find(of)
        if row is None or event.is_block or event.combo_id is not None:
            return
        # The venue's implied vol at the moment of the trade: a last price read against today's forward means nothing.
        if event.iv is not None:
            at_ns = event.event_ns or event.recv_ns
            _LAST.pack_into(self._live_bytes, row * _ROW_BYTES + _LAST_AT, event.iv, at_ns)
            self._dirty.add(self._w["expiry"][row])

    def _apply_forward(self, event: Forward) -> None:
        forward = self._forward_of(event.venue, event.series, event.expiry)
        as_of_ns = self._as_of(event, event.venue, forward.recv_ns)
        if as_of_ns is None:
            return
        if event.price != forward.price:
            # An exponential memory of the steps between rows: how far two rows of one expiry disagree.
            step = abs(event.price - forward.price)
            if step == step:
                old = forward.spread if forward.spread == forward.spread else step
                forward.spread = 0.9 * old + 0.1 * step
            forward.price = event.price
            self._dirty.add(event.expiry)
        forward.name = event.symbol
        forward.recv_ns = as_of_ns

    def _apply_index(self, event: Index) -> None:
        as_of_ns = self._as_of(event, event.venue, self.index.get(event.venue, (0.0, 0))[1])
        if as_of_ns is not None:
            self.index[event.venue] = (event.price, as_of_ns)

    def _as_of(self, event: Quote | Forward | Index, venue: str, last_ns: int) -> int | None:
        """Return the earlier of an event's time and its arrival; None where it is not to be believed."""
        stated_ns = event.event_ns
        if stated_ns is None:
            return event.recv_ns
        if stated_ns > event.recv_ns + AHEAD_NS_MAX:
            self.ignored[venue, "time_ahead"] += 1
            return None
        # Many options state one forward, each at its own moment: an older statement is no loss, and not counted.
        return None if stated_ns < last_ns else min(event.recv_ns, stated_ns)

    def _apply_instrument(self, event: Instrument) -> None:
        of = event.contract
        if of.kind != "option":
            return
        if event.state in CLOSED_STATES:
            self._delist(of.venue, of.symbol)
            return
        key = (of.venue, of.symbol)
        if key not in self._listing and len(self._listing) >= ROWS_MAX:
            self.ignored[of.venue, "chain_full"] += 1
            return
        before = self._listing.get(key)
        self._listing[key] = event
        if key not in self._row:
            self._is_stale_layout = True
            self._append(event)
            return
        self._is_stale_layout |= before is None or before.contract != of
        # Listed again: its terms are those of now.
        self._write_terms(self._row[key], event)

    def _apply_status(self, event: Status) -> None:
        if not event.symbol:
            return
        if event.state in CLOSED_STATES:
            self._delist(event.venue, event.symbol)
            return
        if event.state == "unreadable":
            self.ignored[event.venue, "unreadable"] += 1
        row = self._row.get((event.venue, event.symbol))
        if row is not None:
            self._w["is_open"][row] = event.state in OPEN_STATES
            self._dirty.add(self._w["expiry"][row])

    def _apply_gap(self, event: Gap) -> None:
        row = self._row.get((event.venue, event.symbol))
        if row is None:
            return
        for side in (self.bid, self.ask, self.bid_size, self.ask_size):
            side[row] = math.nan
        self._dirty.add(self._w["expiry"][row])

    def _delist(self, venue: str, symbol: str) -> None:
        gone = self._listing.pop((venue, symbol), None)
        if gone is not None:
            self._is_stale_layout = True
            self._dirty.add(gone.contract.expiry or 0)

    def _forward_of(self, venue: str, series: str, expiry: int) -> VenueForward:
        forward = self.forwards.get((venue, series, expiry))
        if forward is None:
            forward = self.forwards[venue, series, expiry] = VenueForward()
        return forward

    # --- layout ---

    def _allocate(self, capacity: int) -> None:
        """Make columns of `capacity` rows, keeping what they hold."""
        live = np.full(capacity, _EMPTY)
        old = self._live[:capacity]
        live[: len(old)] = old
        self._keep_live(live)
        for names, dtype, empty in (
            (_FLOAT_TERMS, np.float64, math.nan), (_INT_TERMS, np.int64, 0), (_BOOL_TERMS, np.bool_, False),
        ):  # fmt: skip
            for name in names:
                column: NDArray[Any] = np.full(capacity, empty, dtype)
                old = getattr(self, name, column[:0])
                column[: len(old)] = old[:capacity]
                setattr(self, name, column)
                self._w[name] = column.data

    def _keep_live(self, live: NDArray[Any]) -> None:
        """Take the array of what messages write; its fields are columns of the chain."""
        self._live = live
        self._live_bytes = live.view(np.uint8).data
        for name in _LIVE.names or ():
            setattr(self, name, live[name])
        self._event_ns = self.event_ns.data

    def _append(self, listing: Instrument) -> None:
        """Give a new listing a row at the end, so that its quotes are not lost before the next rebuild."""
        of = listing.contract
        row = len(self.contracts)
        if row >= len(self.strike):
            self._allocate(max(256, 2 * row))
        self.contracts.append(of)
        self._row[of.venue, of.symbol] = row
        self._write_contract(row, of)
        self._write_terms(row, listing)
        self._dirty.add(of.expiry or 0)

    def _write_contract(self, row: int, of: Contract) -> None:
        if of.venue not in self.venues:
            self.venues.append(of.venue)
        if (of.venue, of.series) not in self.all_series:
            self.all_series.append((of.venue, of.series))
        w = self._w
        w["strike"][row] = of.strike or math.nan
        w["expiry"][row] = of.expiry or 0
        w["venue"][row] = self.venues.index(of.venue)
        w["series"][row] = self.all_series.index((of.venue, of.series))
        w["is_call"][row] = of.type == "C"
        w["is_coin"][row] = of.price_unit == "coin"

    def _write_terms(self, row: int, listing: Instrument) -> None:
        w = self._w
        w["tick"][row] = listing.tick_size or math.nan
        w["fee_rate"][row] = math.nan if listing.taker_fee is None else listing.taker_fee
        w["is_open"][row] = listing.state in OPEN_STATES

    def _rebuild(self) -> None:
        """Put the rows of all listings in order of expiry, strike, venue, series, type."""
        self._is_stale_layout = False
        self.layout += 1
        listings = sorted(
            self._listing.values(),
            key=lambda at: (
                at.contract.expiry, at.contract.strike, at.contract.venue, at.contract.series, at.contract.type,
            ),
        )  # fmt: skip
        source = np.array([self._row[at.contract.venue, at.contract.symbol] for at in listings], np.int64)
        self._keep_live(self._live[source].copy())
        for name in _FLOAT_TERMS + _INT_TERMS + _BOOL_TERMS:
            column = getattr(self, name)[source].copy()
            setattr(self, name, column)
            self._w[name] = column.data
        self.contracts = [at.contract for at in listings]
        self._row = {(of.venue, of.symbol): row for row, of in enumerate(self.contracts)}
        self._row_of = {}
        for row, of in enumerate(self.contracts):
            self._write_contract(row, of)
        expiries, starts = np.unique(self.expiry, return_index=True)
        self.expiries = [int(at) for at in expiries]
        self.starts = np.append(starts, len(self.contracts)).astype(np.int64)
        self.slot[:] = np.repeat(np.arange(len(expiries)), np.diff(self.starts))
        listed = set(self.expiries)
        self.forwards = {key: at for key, at in self.forwards.items() if key[2] in listed}
