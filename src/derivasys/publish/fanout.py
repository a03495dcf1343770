"""The same bytes to many sockets in one compiled loop: what a client costs is the kernel's send, and little else.

A write from Python costs a client a quarter more than the same call made from C, and at thousands of clients fan-out is
most of what a gateway does (`derivasys bench fanout`). Nor is a connection's object touched for a write that the kernel
takes whole: after two thousand sends it is in no cache, and looking at it costs as much as a tenth of the send.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

NOT_TRIED = -2
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)

_send = types.ExternalFunction("send", types.intp(types.intc, types.uintp, types.uintp, types.intc))
"""ssize_t send(int, const void *, size_t, int) of the C library."""
_Bytes = types.Array(types.uint8, 1, "C", readonly=True)


def send_to_all(descriptors: Sequence[int] | NDArray[np.int32], data: bytes) -> NDArray[np.int64]:
    """Send `data` to each socket without waiting; return how many bytes each took.

    -1 where the kernel took none (full or broken), `NOT_TRIED` for a descriptor below 0.
    """
    sent = np.empty(len(descriptors), np.int64)
    _send_to_all(np.asarray(descriptors, np.int32), np.frombuffer(data, np.uint8), _FLAGS, sent)
    return sent


class Member(Protocol):
    """What an audience asks of a connection, which tells each of its `audiences` of a change of its descriptor."""

    audiences: list[Audience[Any]]

    @property
    def descriptor(self) -> int:
        """Where bytes may be sent past the transport; -1 where not, as long as it is slow above all."""

    @property
    def is_slow(self) -> bool: ...

    def write_rest(self, frames: bytes, sent: int) -> None:
        """Write what a send past the transport left of `frames`: all of it, unless `sent` is above 0."""


_M = TypeVar("_M", bound=Member)


class Audience(Generic[_M]):
    """Connections that get the same bytes, their descriptors side by side."""

    __slots__ = ("_at", "_descriptors", "_members")

    def __init__(self, members: Sequence[_M] = ()) -> None:
        self._members: list[_M] = []
        self._at: dict[_M, int] = {}
        self._descriptors = np.empty(max(1, len(members)), np.int32)
        for member in members:
            self.add(member)

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: _M) -> None:
        """Take in one that is not in it yet."""
        at = len(self._members)
        if at == len(self._descriptors):
            self._descriptors = np.resize(self._descriptors, 2 * at)
        self._members.append(member)
        self._at[member] = at
        self._descriptors[at] = member.descriptor
        member.audiences.append(self)

    def discard(self, member: _M) -> None:
        """Let one go; the last one takes its place."""
        at, last = self._at.pop(member), self._members.pop()
        if last is not member:
            self._members[at], self._at[last] = last, at
            self._descriptors[at] = self._descriptors[len(self._members)]
        member.audiences.remove(self)

    def note(self, member: _M, descriptor: int) -> None:
        """A member's descriptor has changed."""
        self._descriptors[self._at[member]] = descriptor

    def write(self, frames: bytes) -> list[_M]:
        """Write the same whole frames to everybody who is not slow; return those who are.

        The kernel has the bytes on return, if it takes them: the event loop would write only after it has read, and
        decoded, what venues have sent meanwhile.
        """
        sent = send_to_all(self._descriptors[: len(self._members)], frames)
        others = [(self._members[at], int(sent[at])) for at in np.flatnonzero(sent != len(frames)).tolist()]
        slow: list[_M] = []
        for member, taken in others:
            if member.is_slow:
                slow.append(member)
            else:
                member.write_rest(frames, taken)
        return slow


@njit(types.void(types.int32[::1], _Bytes, types.intc, types.int64[::1]), cache=True)
def _send_to_all(descriptors: NDArray[np.int32], data: NDArray[np.uint8], flags: int, sent: NDArray[np.int64]) -> None:
    address = data.ctypes.data
    for i in range(len(descriptors)):
        if descriptors[i] >= 0:
            sent[i] = _send(descriptors[i], address, len(data), flags)  # type: ignore[call-overload]
        else:
            sent[i] = NOT_TRIED
