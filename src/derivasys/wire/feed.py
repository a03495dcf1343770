"""One currency's stream: sequence numbers, patches and snapshots, each encoded once for all clients of its kind.

Three paces (50, 200, 1000 ms) publish the same states; a patch is the difference between the last state published at
its pace and the present one, so it is the merge of the cycles between. At a pace, a channel is one stream for each form
(compact, expanded) and, where it depends on them, each convention; `seq` counts by stream. What nobody follows costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import orjson

from derivasys.wire import compact, expanded
from derivasys.wire.conventions import restate
from derivasys.wire.messages import SCHEMA, Channel
from derivasys.wire.published import STREAMED, TABLES, WITH_NODES, State
from derivasys.wire.variant import RATES_MS, Form, Variant

__all__ = ["STREAMED", "TABLES", "Feed", "State"]

_Key = tuple[Channel, int, Form, tuple[str | None, str | None] | None]
_NO_STATE = "no state yet"


def _all(_: Variant) -> Collection[Channel]:
    return STREAMED


class _Pace:
    """What the variants of one rate have in common: the state that they have published."""

    __slots__ = ("bucket", "state")

    def __init__(self) -> None:
        self.bucket = -1
        self.state: State | None = None


class _Stream:
    """One channel at one pace, in one form and convention."""

    __slots__ = ("payload", "seq", "snapshot", "state")

    def __init__(self) -> None:
        self.seq = 0
        self.state: State | None = None
        self.payload: bytes | None = None
        """What brought its subscribers to `state`; None when nothing had changed."""
        self.snapshot: bytes | None = None

    def start(self, state: State | None) -> None:
        """Begin at a state: what was published before is forgotten, seq goes on."""
        self.seq += 1
        self.state, self.payload, self.snapshot = state, None, None

    def stop(self) -> None:
        """Stand still until somebody follows again."""
        self.state = self.payload = self.snapshot = None


class Feed:
    """The stream of one currency. Each pace may be some cycles behind the newest state."""

    def __init__(self, ccy: str, epoch: str) -> None:
        self.ccy = ccy
        self.epoch = epoch
        self._offered: Callable[[], State] | None = None
        self._state: State | None = None
        self._ts = 0
        self._paces = {rate_ms: _Pace() for rate_ms in RATES_MS}
        self._streams: dict[_Key, _Stream] = {}
        self._active: dict[Variant, None] = {}
        self._restated: dict[Any, tuple[State, State]] = {}
        """By convention: the last state asked for in it, as offered and as restated."""

    @property
    def has_state(self) -> bool:
        """Whether there is anything to publish."""
        return self._state is not None or self._offered is not None

    @property
    def state(self) -> State | None:
        """The newest state, made now if nobody has needed it before; None before the first."""
        if self._offered is not None:
            self._state, self._offered = self._offered(), None
        return self._state

    @property
    def active(self) -> tuple[Variant, ...]:
        """The variants that somebody follows."""
        return tuple(self._active)

    def update(self, state: State) -> None:
        """Take the newest state."""
        self.offer(state.ts, lambda: state)

    def offer(self, ts: int, make: Callable[[], State]) -> None:
        """Take the newest state, to be made only if a pace is due or somebody asks: most cycles publish nothing."""
        self._ts, self._offered = ts, make

    def renew(self, epoch: str) -> None:
        """Start another history: what is published next is a snapshot of everything to everybody."""
        self.epoch = epoch
        for pace in self._paces.values():
            pace.state = None
        for stream in self._streams.values():
            stream.start(None)
            stream.seq = 0

    def restated(self, state: State, variant: Variant, channel: Channel = "surface") -> State:
        """Return a state of this feed as a channel tells it in a variant's conventions."""
        if channel not in WITH_NODES:
            return state
        own = state.conventions
        wanted: Any = variant.delta or own.get("delta"), variant.fly or own.get("fly")
        if wanted == (own.get("delta"), own.get("fly")):
            return state
        base, other = self._restated.get(wanted, (None, state))
        if base is not state:
            other = restate(state, *wanted)
            self._restated[wanted] = (state, other)
        return other

    def activate(self, variant: Variant) -> None:
        """Start what a variant's first subscriber follows."""
        if variant in self._active:
            return
        pace = self._paces[variant.rate_ms]
        if not self._is_followed(variant.rate_ms):
            pace.state = self.state
            pace.bucket = -1 if pace.state is None else pace.state.ts // variant.rate_ms
        self._active[variant] = None
        for channel in STREAMED:
            self._stream(channel, variant, pace.state)

    def deactivate(self, variant: Variant) -> None:
        """Stop what no other variant follows: this one's last subscriber has gone."""
        self._active.pop(variant, None)
        kept = {self._key(channel, each) for each in self._active for channel in STREAMED}
        for key, stream in self._streams.items():
            if key not in kept:
                stream.stop()

    def publish(self, followed: Callable[[Variant], Collection[Channel]] = _all) -> dict[Variant, dict[Channel, bytes]]:
        """Return, for each variant that is due, the payloads by channel that bring it to the newest state.

        Call it once after each `offer`. Variants share streams, and so the very bytes, where they do not differ. A
        channel of a variant that nobody follows (`followed`) stands still; its next follower begins with a snapshot.
        """
        due = {rate_ms for rate_ms in RATES_MS if self._move(rate_ms)}
        published: dict[Variant, dict[Channel, bytes]] = {}
        alive: set[_Key] = set()
        for variant in self._active:
            if variant.rate_ms in due:
                channels = followed(variant)
                wanted = [channel for channel in STREAMED if channel in channels]
                alive.update(self._key(channel, variant) for channel in wanted)
                payloads = {channel: self._advance(channel, variant) for channel in wanted}
                published[variant] = {channel: payload for channel, payload in payloads.items() if payload is not None}
        for key, stream in self._streams.items():
            if key[1] in due and key not in alive:
                stream.stop()
        return {variant: payloads for variant, payloads in published.items() if payloads}

    def snapshot(self, variant: Variant, channel: Channel) -> bytes:
        """Return the whole state of a channel, as of what the variant has published."""
        self.activate(variant)
        pace = self._paces[variant.rate_ms]
        if pace.state is None:
            pace.state = self.state
        stream = self._stream(channel, variant, pace.state)
        assert stream.state is not None, _NO_STATE
        if stream.snapshot is None:
            body = _body(channel, variant.form, None, stream.state)
            assert body is not None, "a state always has a snapshot"
            stream.snapshot = self._encode(stream, stream.state, body)
        return stream.snapshot

    # --- streams ---

    def _is_followed(self, rate_ms: int) -> bool:
        return any(variant.rate_ms == rate_ms for variant in self._active)

    def _move(self, rate_ms: int) -> bool:
        """Bring a pace to the newest state if it is due; return whether it moved."""
        if not self.has_state or not self._is_followed(rate_ms):
            return False
        pace, bucket = self._paces[rate_ms], self._ts // rate_ms
        if rate_ms > RATES_MS[0] and bucket == pace.bucket and pace.state is not None:
            return False
        state = self.state
        if pace.state is state:
            return False
        pace.bucket, pace.state = bucket, state
        return True

    def _key(self, channel: Channel, variant: Variant) -> _Key:
        """Return which stream a variant's channel is: only two depend on the conventions, and `fit` has one form."""
        wanted = (variant.delta, variant.fly) if channel in WITH_NODES else None
        return channel, variant.rate_ms, "compact" if channel == "fit" else variant.form, wanted

    def _stream(self, channel: Channel, variant: Variant, state: State | None) -> _Stream:
        """Return a stream, started at `state` if nobody has followed it."""
        key = self._key(channel, variant)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
        if stream.state is None and state is not None:
            stream.start(self.restated(state, variant, channel))
        return stream

    def _advance(self, channel: Channel, variant: Variant) -> bytes | None:
        """Bring a stream to its pace's state and return the message that does; None when nothing changed."""
        base = self._paces[variant.rate_ms].state
        assert base is not None, _NO_STATE
        state = self.restated(base, variant, channel)
        stream = self._stream(channel, variant, None)
        if stream.state is state:
            return stream.payload
        if stream.state is None:
            stream.start(state)
            stream.payload = self.snapshot(variant, channel)
            return stream.payload
        body = _body(channel, variant.form, stream.state, state)
        stream.state, stream.payload, stream.snapshot = state, None, None
        if body is not None:
            stream.seq += 1
            stream.payload = self._encode(stream, state, body)
        return stream.payload

    def _encode(self, stream: _Stream, state: State, body: dict[str, Any]) -> bytes:
        envelope = {
            "type": body["type"],
            "schema": SCHEMA,
            "ts": state.ts,
            "ccy": self.ccy,
            "epoch": self.epoch,
            "seq": stream.seq,
            "version": state.version,
        }
        return orjson.dumps(envelope | body)


def _body(channel: Channel, form: Form, before: State | None, after: State) -> dict[str, Any] | None:
    """Return a message less its envelope: a snapshot of `after`, or with `before` what changed, None when nothing."""
    if channel == "fit":
        return None if before is not None and before.fit == after.fit else {"type": "surface_fit_status", **after.fit}
    of = expanded if form == "expanded" else compact
    return of.snapshot(channel, after) if before is None else of.patch(channel, before, after)
