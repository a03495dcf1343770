"""The same bytes to many sockets in one compiled loop: what a client costs is the kernel's send, and little else.

A write from Python costs a client a quarter more than the same call made from C, and at thousands of clients fan-out is
most of what a gateway does (`derivasys bench fanout`).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

NOT_TRIED = -2
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)

_send = types.ExternalFunction("send", types.intp(types.intc, types.uintp, types.uintp, types.intc))
"""ssize_t send(int, const void *, size_t, int) of the C library."""
_Bytes = types.Array(types.uint8, 1, "C", readonly=True)


def send_to_all(descriptors: Sequence[int], data: bytes) -> NDArray[np.int64]:
    """Send `data` to each socket without waiting; return how many bytes each took.

    -1 where the kernel took none (full or broken), `NOT_TRIED` for a descriptor below 0.
    """
    sent = np.empty(len(descriptors), np.int64)
    _send_to_all(np.array(descriptors, np.int32), np.frombuffer(data, np.uint8), _FLAGS, sent)
    return sent


@njit(types.void(types.int32[::1], _Bytes, types.intc, types.int64[::1]), cache=True)
def _send_to_all(descriptors: NDArray[np.int32], data: NDArray[np.uint8], flags: int, sent: NDArray[np.int64]) -> None:
    address = data.ctypes.data
    for i in range(len(descriptors)):
        if descriptors[i] >= 0:
            sent[i] = _send(descriptors[i], address, len(data), flags)  # type: ignore[call-overload]
        else:
            sent[i] = NOT_TRIED
