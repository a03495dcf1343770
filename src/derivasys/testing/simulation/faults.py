"""What can go wrong, and how a seed chooses it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

S = 1_000_000_000
HOUR_S = 3600.0
FAULTS_MAX = 4
LASTS_S = (0.5, 3.0, 12.0, 40.0)
JUMP_S = 1.0
JUMPS = (math.log(1.2), math.log(0.8))
"""A fifth of the spot price, within a second."""
SKEWS_S = (-90.0, -20.0, -2.0, 2.0, 20.0, 45.0, 90.0)
"""How far a venue's clock is ahead. Quotes dated more than a minute ahead of their arrival are not believed."""
ROLL_LEAD_S, ROLL_LASTS_S = 35.0, 45.0
"""Before 08:00 UTC the run starts so early, to have warmed up; listings follow the roll within so long."""


class Kind(StrEnum):
    """What may go wrong. Wires first, then venues, then what all venues see at once."""

    CUT = "cut"  # the connection ends, frames on their way are lost
    HALF_OPEN = "half_open"  # nothing passes, and nobody is told
    GONE = "gone"  # connecting fails too
    DEAF = "deaf"  # what the client says is lost: heartbeats go unanswered
    DROP = "drop"  # messages are lost
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"  # a byte is changed, or the message cut short
    DELAY = "delay"  # messages come seconds late
    SLOW = "slow"  # few messages get through, the others queue
    SKEW = "skew"  # the venue's clock is wrong
    STALL = "stall"  # some channels fall silent while their subscriptions stand
    GAP = "gap"  # the venue loses changes of order books
    CHURN = "churn"  # contracts are listed and delisted at all hours
    MAINTENANCE = "maintenance"
    ROLL = "roll"  # 08:00 UTC: the front expiry ends, another is listed
    JUMP = "jump"  # spot moves a fifth in a second
    BURST = "burst"  # ten times the rate


EVERYWHERE = frozenset({Kind.ROLL, Kind.JUMP, Kind.BURST})
"""Faults of all venues at once."""
BURST_FACTOR = 10.0


class Fault(Struct, frozen=True):
    """One fault from `start_ns` to `end_ns`, of one venue or (venue '') of all."""

    kind: Kind
    venue: str
    start_ns: int
    end_ns: int
    size: float = 0.0
    """Of a skew: seconds; of a jump: ln(after / before)."""

    def __str__(self) -> str:
        size = f" {self.size:+.3g}" if self.size else ""
        return f"{self.kind} {self.venue or 'everywhere'} {(self.end_ns - self.start_ns) / S:g} s{size}"


def schedule(rng: random.Random, venues: Sequence[str], start_ns: int, warm_up_s: float) -> tuple[Fault, ...]:
    """Return one to `FAULTS_MAX` faults, in order of their start, which may overlap.

    A jump, a burst and an hour's absence come at most once. The roll is not among them: it belongs to the hour of the
    run (`is_roll`).
    """
    faults: list[Fault] = []
    at_ns = start_ns + int(warm_up_s * S)
    kinds = [kind for kind in Kind if kind is not Kind.ROLL]
    for _ in range(rng.randint(1, FAULTS_MAX)):
        at_ns += int(rng.uniform(0, 8) * S)
        kind = rng.choice(kinds)
        if kind in EVERYWHERE:
            kinds.remove(kind)
        venue = "" if kind in EVERYWHERE else rng.choice(venues)
        size = 0.0
        lasts_s = rng.choice(LASTS_S)
        if kind is Kind.CUT:
            lasts_s = 0.1
        elif kind is Kind.JUMP:
            lasts_s, size = JUMP_S, rng.choice(JUMPS)
        elif kind is Kind.SKEW:
            size = rng.choice(SKEWS_S)
        elif kind is Kind.BURST:
            lasts_s = min(lasts_s, 12.0)
        elif kind is Kind.GONE and rng.random() < 0.25 and not any(_is_long(fault) for fault in faults):
            lasts_s = HOUR_S
        faults.append(Fault(kind, venue, at_ns, at_ns + int(lasts_s * S), size))
    return tuple(faults)


def is_roll(rng: random.Random) -> bool:
    """Return whether a run crosses 08:00 UTC: one in ten does."""
    return rng.random() < 0.1


def roll(eight_ns: int) -> Fault:
    """Return the roll at an 08:00 UTC."""
    return Fault(Kind.ROLL, "", eight_ns, eight_ns + int(ROLL_LASTS_S * S))


def _is_long(fault: Fault) -> bool:
    return fault.end_ns - fault.start_ns >= HOUR_S * S
