"""What a decoder remembers by contract, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from derivasys.messages import Contract, DecodeError, RejectReason

KNOWN_MAX = 65_536
"""Contracts remembered by one decoder; a message about one more is refused as BAD_VALUE."""


class About(Protocol):
    """What is remembered of a contract."""

    contract: Contract


T = TypeVar("T", bound=About)


class Known(dict[str, T]):
    """What is remembered, by symbol. When it is full, what has expired is forgotten."""

    def __init__(self, make: Callable[[Contract], T], read: Callable[[str], Contract]) -> None:
        """`make` begins what is remembered of a contract; `read` makes a contract of a name."""
        super().__init__()
        self._make = make
        self._read = read

    def of(self, symbol: str, recv_ns: int) -> T:
        """Return what is known of a contract, at first what its name tells. Raises DecodeError."""
        known = self.get(symbol)
        return self.remember(self._read(symbol), recv_ns) if known is None else known

    def remember(self, of: Contract, recv_ns: int) -> T:
        """Begin to remember a contract. Raises DecodeError (BAD_VALUE) when there are too many."""
        if len(self) >= KNOWN_MAX:
            now_ms = recv_ns // 1_000_000
            for symbol in [name for name, at in self.items() if (at.contract.expiry or now_ms) < now_ms]:
                del self[symbol]
        if len(self) >= KNOWN_MAX:
            raise DecodeError(RejectReason.BAD_VALUE, f"{of.symbol}: more than {KNOWN_MAX} instruments")
        known = self[of.symbol] = self._make(of)
        return known
