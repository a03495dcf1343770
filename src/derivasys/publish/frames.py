"""Frames made once and sent to many: plain text frames, and the same compressed without context takeover.

A message compressed with a fresh window (RFC 7692, 7.1.1.1) depends on nothing sent before it, so its bytes are the
same for every client that negotiated the extension: one compression serves them all.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from isal import isal_zlib
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

LEVEL = 2
"""ISA-L's, which takes 3 ns a byte of our patches. zlib's level 1 takes four times as long and leaves a tenth more; its
level 6 leaves a tenth less and takes seven times as long. The loop waits for it."""
DEFLATE_BYTES_MIN = 256
"""Shorter messages go uncompressed, which the extension allows message by message."""
PING_FRAME = b"\x89\x00"
_TEXT = 0x81
_RSV1 = 0x40


def text_frame(payload: bytes) -> bytes:
    """Return the bytes of one unmasked, final text frame around `payload` (RFC 6455, 5.2)."""
    return _frame(_TEXT, payload)


def deflated_frame(payload: bytes) -> bytes:
    """Return the same message as a compressed frame that any client with permessage-deflate can read."""
    if len(payload) < DEFLATE_BYTES_MIN:
        return text_frame(payload)
    squeezer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -zlib.MAX_WBITS)
    data = squeezer.compress(payload) + squeezer.flush(isal_zlib.Z_SYNC_FLUSH)
    # The empty block of the flush is implied (RFC 7692, 7.2.1).
    return _frame(_TEXT | _RSV1, data[:-4])


def _frame(first: int, payload: bytes) -> bytes:
    n = len(payload)
    if n < 126:
        return bytes((first, n)) + payload
    if n < 65536:
        return bytes((first, 126)) + n.to_bytes(2, "big") + payload
    return bytes((first, 127)) + n.to_bytes(8, "big") + payload


class SharedDeflate(ServerPerMessageDeflateFactory):
    """Offers permessage-deflate only in the form that shared frames need: no context takeover either way.

    A client that asks the server for a smaller window is served uncompressed: its frames could not be the others'.
    """

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(
        self, params: Sequence[tuple[str, str | None]], accepted_extensions: Sequence[Any]
    ) -> tuple[list[tuple[str, str | None]], PerMessageDeflate]:
        """Answer one offer (RFC 7692, 7.1)."""
        for name, value in params:
            if name == "server_max_window_bits" and value != str(zlib.MAX_WBITS):
                raise NegotiationError("the window is shared by all clients")
        return super().process_request_params(params, accepted_extensions)
