"""`derivasys canary URL`: looks at a deployment as a client does, and judges what it sees.

Four checks: `freshness` (surfaces are of now), `sequence` (no gap, patches continue their snapshot), `certificate`
(what is called fitted is certified) and `latency` (from a message's own time to its arrival). Clocks of the two sides
differ by what they differ: the limits are seconds, not milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from msgspec import Struct, field
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from derivasys.telemetry.registry import Telemetry

CHECKS = ("freshness", "sequence", "certificate", "latency")
OPEN_S_MAX = 10.0
MESSAGE_BYTES_MAX = 16 << 20
PROBLEMS_MAX = 20
"""Told of one run; the first are the ones that matter."""


class Limits(Struct, frozen=True, kw_only=True):
    """When a check fails."""

    watch_s: float = 5.0
    """How long to listen after the first snapshot."""
    age_s_max: float = 10.0
    latency_ms_max: float = 2000.0
    is_live: bool = False
    """Whether anything but the live market is a failure of `freshness`."""


class Seen(Struct):
    """What one visit saw. `problems` by check."""

    url: str
    messages: int = 0
    bytes: int = 0
    version: int = 0
    fitted: int = 0
    age_ms: float | None = None
    """Of the newest surface message, at its arrival or at the end, whichever is later."""
    latencies_ms: list[float] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=lambda: {check: [] for check in CHECKS})

    @property
    def is_good(self) -> bool:
        return not any(self.problems.values())

    def note(self, check: str, what: str) -> None:
        told = self.problems[check]
        if what not in told and len(told) < PROBLEMS_MAX:
            told.append(what)


class Visitor:
    """Judges messages as they come. Sans I/O: times are given, ms since the epoch."""

    def __init__(self, url: str, limits: Limits) -> None:
        self.seen = Seen(url)
        self._limits = limits
        self._at: dict[tuple[str, str], tuple[str, int]] = {}
        """(channel, ccy) → (epoch, seq)."""
        self._smiles: dict[str, Any] = {}
        self._surface_ts: int | None = None
        self._shift_ms = 0
        """How far the feed's time is behind ours: a replay or simulation runs on a clock of its own."""
        self._is_own_clock = False

    @property
    def has_snapshot(self) -> bool:
        return bool(self._smiles)

    def take(self, text: bytes | str, now_ms: int) -> None:
        """Take one message."""
        seen = self.seen
        seen.messages += 1
        seen.bytes += len(text)
        message = orjson.loads(text)
        kind = message.get("type", "")
        if kind == "error":
            seen.note("sequence", f"error {message.get('code')}: {message.get('message')}")
        if kind == "status":
            self._judge_source(message["source"]["kind"])
        channel, _, form = kind.rpartition("_")
        if form not in ("snapshot", "patch"):
            return
        self._follow(channel, form, message)
        if channel == "svi_surface":
            self._surface_ts = message["ts"]
            seen.version = message["version"]
            if self._is_own_clock:
                behind_ms = now_ms - message["ts"]
                self._shift_ms = min(self._shift_ms or behind_ms, behind_ms)
            seen.latencies_ms.append(float(now_ms - message["ts"] - self._shift_ms))
            self._merge(form, message)

    def end(self, now_ms: int) -> Seen:
        """Judge the whole visit."""
        seen, limits = self.seen, self._limits
        if self._surface_ts is None:
            seen.note("freshness", "no surface came")
            return seen
        seen.age_ms = float(now_ms - self._surface_ts - self._shift_ms)
        if not seen.age_ms <= 1000 * limits.age_s_max:
            seen.note("freshness", f"the newest surface is {seen.age_ms / 1000:.1f} s old")
        # The median: a first snapshot may be as old as its cycle, one late message is no slow stream.
        median = sorted(seen.latencies_ms)[len(seen.latencies_ms) // 2]
        if not abs(median) <= limits.latency_ms_max:
            seen.note("latency", f"messages arrive {median:.0f} ms after their time")
        self._certify()
        return seen

    def _judge_source(self, kind: str) -> None:
        self._is_own_clock = kind != "live"
        if self._is_own_clock and self._limits.is_live:
            self.seen.note("freshness", f"the source is {kind}, not the live market")

    def _follow(self, channel: str, form: str, message: dict[str, Any]) -> None:
        of, now = (channel, message["ccy"]), (message["epoch"], message["seq"])
        before = self._at.get(of)
        self._at[of] = now
        if form == "snapshot":
            return
        if before is None:
            self.seen.note("sequence", f"{channel} {of[1]}: a patch before any snapshot")
        elif now != (before[0], before[1] + 1):
            self.seen.note("sequence", f"{channel} {of[1]}: {now[1]} follows {before[1]}")

    def _merge(self, form: str, message: dict[str, Any]) -> None:
        """Keep of the smiles what is judged: JSON Merge Patch over the parts that stand in for the rest."""
        smiles = message.get("smiles") or {}
        if form == "snapshot":
            self._smiles = dict(smiles)
            return
        for expiry, change in smiles.items():
            if change is None:
                self._smiles.pop(expiry, None)
            else:
                self._smiles[expiry] = _merged(self._smiles.get(expiry, {}), change)

    def _certify(self) -> None:
        seen = self.seen
        for smile in self._smiles.values():
            state = smile.get("fit", {}).get("state")
            if state == "rejected":
                continue
            seen.fitted += 1
            certificate = smile.get("certificate") or {}
            for proof in ("butterfly", "calendar", "lee"):
                if certificate.get(proof) != "certified":
                    seen.note("certificate", f"{smile.get('label')}: {proof} is {certificate.get(proof, 'not told')}")
        if not seen.fitted:
            seen.note("certificate", "no expiry is fitted")


def _merged(target: Any, patch: Any) -> Any:
    """Return RFC 7396's merge."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


async def visit(url: str, limits: Limits, now_ms: Callable[[], int], key: str = "") -> Seen:
    """Connect, listen, judge. What cannot be reached fails `freshness`."""
    visitor = Visitor(url, limits)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with connect(
            url, open_timeout=OPEN_S_MAX, max_size=MESSAGE_BYTES_MAX, additional_headers=headers, close_timeout=2
        ) as socket:
            async with asyncio.timeout(OPEN_S_MAX + limits.watch_s):
                await _listen(socket, visitor, limits.watch_s, now_ms)
    except TimeoutError:
        visitor.seen.note("freshness", f"nothing to judge within {OPEN_S_MAX + limits.watch_s:g} s")
    except (OSError, WebSocketException) as error:
        visitor.seen.note("freshness", f"cannot be reached: {error or type(error).__name__}")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        visitor.seen.note("sequence", f"not the protocol: {type(error).__name__} {error}")
    return visitor.end(now_ms())


async def _listen(socket: Any, visitor: Visitor, watch_s: float, now_ms: Callable[[], int]) -> None:
    end_s: float | None = None
    loop = asyncio.get_running_loop()
    while end_s is None or loop.time() < end_s:
        try:
            async with asyncio.timeout_at(end_s):
                text = await socket.recv()
        except TimeoutError:
            if end_s is not None and loop.time() >= end_s:
                return
            raise
        visitor.take(text, now_ms())
        if end_s is None and visitor.has_snapshot:
            end_s = loop.time() + watch_s


def report(seen: Seen, telemetry: Telemetry) -> bytes:
    """Set the metrics of a visit and return it as one JSON line."""
    for check in CHECKS:
        telemetry.set("CanaryFailures", float(bool(seen.problems[check])), check)
    telemetry.observe("CanaryLatencyMilliseconds", seen.latencies_ms)
    ordered = sorted(seen.latencies_ms)
    line = {
        "canary": seen.url.partition("?")[0], "is_good": seen.is_good, "messages": seen.messages, "bytes": seen.bytes,
        "version": seen.version, "fitted": seen.fitted, "age_ms": seen.age_ms,
        "latency_ms_p50": ordered[len(ordered) // 2] if ordered else None,
        "latency_ms_max": ordered[-1] if ordered else None,
        "problems": {check: told for check, told in seen.problems.items() if told},
    }  # fmt: skip
    return orjson.dumps(line)
