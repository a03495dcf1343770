"""What the venues of a run do: their listing, cut small to be cheap, and their part in the faults."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec

from derivasys.testing.market import MarketView
from derivasys.testing.market.board import OPEN
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.manner import VenueTerms
from derivasys.testing.shell import LocalServer, Reply
from derivasys.testing.simulation.faults import BURST_FACTOR

SMALL = Ladder(days=2, weeks=1, months=1, quarters=1)
Z_MAX, EVERY = 1.6, 2
CHURN_STRIKES = 2
"""Listed, and delisted, at a time."""


def trim(terms: VenueTerms) -> VenueTerms:
    """Return a venue's terms with few expiries and strikes."""
    families = tuple(
        msgspec.structs.replace(family, ladder=SMALL, z_max=Z_MAX, every=max(EVERY, family.every))
        for family in terms.families
    )
    return msgspec.structs.replace(terms, families=families)


def markets_of(server: Any) -> tuple[MarketView, ...]:
    """Return the markets that a local server shows."""
    venue = server.venue
    found: tuple[MarketView, ...] = venue.markets if hasattr(venue, "markets") else venue.view.markets
    return found


def _has(server: Any, fault: str) -> bool:
    """Return whether a local server knows a fault."""
    return hasattr(getattr(server.venue, "faults", None), fault)


def losses_of(server: Any) -> Any:
    """Return the switches of what a server's pushes suffer."""
    venue = server.venue
    return venue.faults if hasattr(venue, "faults") else venue.losses


def http(server: LocalServer, path: str, query: dict[str, str], now_ns: int, *, is_down: bool) -> Reply:
    """Answer one GET as the venue would; `is_down` in maintenance, which some local servers answer for themselves."""
    if is_down and not _has(server, "maintenance"):
        return 503, b"<html>Service Unavailable</html>", {}
    return server.http("GET", path, query, b"", now_ns)


def maintain(server: Any, *, is_on: bool) -> None:
    """Begin or end maintenance: announced where the venue does so, pushes stop, sessions end where calls fail."""
    venue = server.venue
    losses_of(server).stalled = {""} if is_on else set()
    if _has(server, "maintenance"):
        venue.faults.maintenance = is_on
    if hasattr(venue, "announce_platform"):
        venue.announce_platform()
    elif hasattr(venue, "announce"):
        venue.announce("ongoing" if is_on else "completed")
    if is_on and not hasattr(venue, "announce"):
        for session in list(venue.sessions):
            session.closing = session.closing or (1001, "maintenance")


def stall(server: Any, rng: random.Random) -> None:
    """Let the options of some expiries fall silent."""
    names = sorted({symbol.rsplit("-", 2)[0] for market in markets_of(server) for symbol in market.board.symbols})
    silent = rng.sample(names, max(1, len(names) // 3))
    heads = ("ticker.", "tickers:", "tickers.", "ticker_slim.", "books:", "orderbook.25.")
    losses_of(server).stalled = {head + name for name in silent for head in heads} | {name.lower() for name in silent}


def end_stall(server: Any) -> None:
    """Let all channels speak again."""
    losses_of(server).stalled = set()


def set_rate(server: Any, rate: float, *, is_burst: bool = False) -> None:
    """Share `rate` tickers a second over a server's markets."""
    markets = markets_of(server)
    total = sum(len(market.board.symbols) for market in markets)
    for market in markets:
        share = rate * len(market.board.symbols) / max(1, total)
        market.set_rate(BURST_FACTOR * share if is_burst else share)


def lose_book_change(server: Any) -> None:
    """Let the venue lose a change of an order book, where it has books of changes."""
    if _has(server, "book_gap"):
        server.venue.faults.book_gap = True


def churn(server: Any, rng: random.Random, counts: Counter[str], *, only_list: bool = False) -> None:
    """List strikes near the forward and delist others, in some expiry of each family."""
    for market in markets_of(server):
        board = market.board
        alive = [number for number, expiry in enumerate(board.expiries) if expiry.state == OPEN]
        for number in alive if only_list else rng.sample(alive, min(2, len(alive))):
            counts["listed"] += len(market.list_strikes(number, CHURN_STRIKES * (3 if only_list else 1)))
            if only_list:
                continue
            rows = [row for row in board.open_rows().tolist() if int(board.expiry_of[row]) == number]
            far = sorted(rows, key=lambda row: -abs(float(board.strike[row]) - board.expiries[number].forward))
            # A venue delists what nobody trades: the outermost, and never so many that no smile is left.
            if len(far) > 12:
                counts["delisted"] += len(market.delist(far[:CHURN_STRIKES]))
