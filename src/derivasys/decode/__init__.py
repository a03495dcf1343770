"""Bytes of a venue → canonical events. One file a venue; no clock, no I/O, no knowledge of other venues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from derivasys.decode import binance, bybit, deribit, derive, okx
from derivasys.messages import Event


class Decoder(Protocol):
    """Decodes one venue's messages; may keep state between them (order books)."""

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one message; raises DecodeError and nothing else."""


DECODERS: dict[str, Callable[[], Decoder]] = {
    deribit.VENUE: deribit.Decoder,
    okx.VENUE: okx.Decoder,
    bybit.VENUE: bybit.Decoder,
    binance.VENUE: binance.Decoder,
    derive.VENUE: derive.Decoder,
}
