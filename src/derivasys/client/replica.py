"""What a subscriber holds of one currency, without I/O: messages in, state and requests for a resync out.

A snapshot replaces, a patch merges (RFC 7396), and after a gap in `seq` or with a new `epoch` nothing is merged until
the snapshot asked for has come. Nothing queues: there is one state a channel, the newest.
"""

from __future__ import annotations

from typing import Any

import orjson

from derivasys.wire.compact import KIND
from derivasys.wire.messages import SCHEMA, Channel
from derivasys.wire.table import Tree, merge

_SNAPSHOTS: dict[str, Channel] = {f"{kind}_snapshot": channel for channel, kind in KIND.items()}
_PATCHES: dict[str, Channel] = {f"{kind}_patch": channel for channel, kind in KIND.items()}
_ENVELOPE = ("type", "schema", "ccy")


class NotUnderstood(ValueError):  # noqa: N818 - a verdict on a message, not a fault
    """A message that is no message of this contract."""


class Replica:
    """The channels of one currency."""

    def __init__(self, ccy: str, channels: tuple[Channel, ...]) -> None:
        self.ccy = ccy
        self.channels = channels
        self.states: dict[Channel, Tree] = {}
        """By channel: the state with its `epoch`, `seq`, `version` and `ts`."""
        self.awaiting: set[Channel] = set(channels)
        """Channels that take no patch before a snapshot."""
        self.status: Tree | None = None
        self.detail = ""
        """What the server last complained of."""
        self.gaps = 0

    @property
    def is_settled(self) -> bool:
        """Whether all channels are of one version, so that a cut through them is one surface."""
        versions = {self.states[at]["version"] for at in self.channels if at in self.states}
        return not self.awaiting and len(versions) == 1

    def lost(self) -> None:
        """Heed that the connection is gone: what is held stays, but nothing may be merged into it."""
        self.awaiting = set(self.channels)

    def receive(self, text: str | bytes) -> list[Tree]:
        """Take one message and return what to send. Raises NotUnderstood."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise NotUnderstood(f"not JSON: {error}") from None
        if not isinstance(message, dict) or message.get("schema") != SCHEMA:
            found = message.get("schema") if isinstance(message, dict) else message
            raise NotUnderstood(f"this client speaks schema {SCHEMA}, the server said {str(found)[:40]}")
        kind = message.get("type")
        if kind == "status":
            self.status = message
        elif kind == "error":
            self.detail = f"{message.get('code')}: {message.get('message')}"
        elif message.get("ccy") == self.ccy:
            return self._take(str(kind), message)
        return []

    def _take(self, kind: str, message: Tree) -> list[Tree]:
        channel = "fit" if kind == "surface_fit_status" else _SNAPSHOTS.get(kind)
        if channel is not None:
            if channel in self.channels:
                self.states[channel] = _state(message)
                self.awaiting.discard(channel)
            return []
        channel = _PATCHES.get(kind)
        if channel is None or channel in self.awaiting or channel not in self.channels:
            return []
        held = self.states[channel]
        if message["epoch"] != held["epoch"] or message["seq"] != held["seq"] + 1:
            self.gaps += message["epoch"] == held["epoch"]
            self.awaiting.add(channel)
            return [{"type": "resync", "channel": channel, "ccy": self.ccy}]
        self.states[channel] = merge(held, _state(message))
        return []


def _state(message: Tree) -> Tree:
    """Return a message without what belongs to the message alone."""
    return {name: value for name, value in message.items() if name not in _ENVELOPE}


def request(kind: str, **fields: Any) -> Tree:
    """Return a client's message without the fields that are None."""
    return {"type": kind, **{name: value for name, value in fields.items() if value is not None}}
