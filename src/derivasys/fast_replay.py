"""`derivasys replay --speed max`: a recording as fast as it goes, currencies shared out over processes.

Currencies meet nowhere in the pipeline, so each process reads the recording, passes over the frames of the others'
currencies, and calibrates its own. What they make is put together in the order of cycles and currencies: states,
messages and their sum are the same for any number of processes.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np
import orjson
from msgspec import Struct

from derivasys.calibrate import Rules
from derivasys.decode import coin_of
from derivasys.pipeline import Pipeline
from derivasys.record.replayer import Replay, cadence, connections, replay
from derivasys.record.segments import SegmentError, read
from derivasys.recordings import Span
from derivasys.wire.feed import Feed as Stream
from derivasys.wire.feed import State
from derivasys.wire.published import STREAMED
from derivasys.wire.state import state_of
from derivasys.wire.variant import Variant

EPOCH = "replay"
BATCH = 32
"""States of which a process tells at once; the pipe holds it back when nobody listens."""
NOBODY = ("",)
"""The currencies of a connection that has none of a process's share."""


class Summary(Struct, frozen=True):
    """What a replay at full speed made."""

    frames: int
    surfaces: int
    messages: int
    """Written out; 0 when nothing asked for them."""
    sha256: str
    """Of all published states in order, every number of them: equal recordings give equal sums."""
    recorded_s: float
    took_s: float
    processes: int


class Made(Struct, frozen=True, array_like=True):
    """One published state, as a process tells of it."""

    cycle: int
    """How many cycles of any feed came before: in all processes the same."""
    ccy: str
    now_ns: int
    digest: bytes
    payloads: list[bytes]


class Told(Struct, frozen=True, array_like=True):
    """What a process says next."""

    made: list[Made]
    frames: int | None = None
    """Of the recording, at its end."""
    error: str | None = None


def replay_fast(span: Span, out: BinaryIO | None, cycle_ms: int | None = None, processes: int | None = None) -> Summary:
    """Replay as fast as it goes; write every message that a 50 ms subscriber would get, one a line, to `out`.

    Without `out` no messages are made: each state is summed as it stands, which costs a fraction of its patch.
    `cycle_ms` of recorded time from cycle to cycle; None repeats the recorded cycles (see `replayer.cadence`).
    `processes` at most, None for one a core; there are no more than currencies. Raises SegmentError.
    """
    started = time.perf_counter()
    every_ns = cadence(span.folder, cycle_ms)
    shares = share_out(ccys_of(span), processes or os.cpu_count() or 1)
    digest = hashlib.sha256()
    surfaces = messages = 0
    first_ns = last_ns = 0
    with _Workers(span, every_ns, shares, has_payloads=out is not None) as workers:
        for made in workers.made():
            surfaces += 1
            first_ns, last_ns = first_ns or made.now_ns, made.now_ns
            digest.update(made.digest)
            messages += len(made.payloads)
            if out is not None:
                out.writelines(payload + b"\n" for payload in made.payloads)
    return Summary(
        workers.frames, surfaces, messages, digest.hexdigest(), (last_ns - first_ns) / 1e9,
        time.perf_counter() - started, len(shares),
    )  # fmt: skip


def ccys_of(span: Span) -> tuple[str, ...]:
    """Return the currencies that the connections of a recording were opened for; () where one does not say."""
    found: dict[str, None] = {}
    for _, opened in connections(span.folder, span.to_ns):
        if not opened.ccys:
            return ()
        found |= dict.fromkeys(opened.ccys)
    return tuple(found)


def share_out(ccys: tuple[str, ...], processes: int) -> list[tuple[str, ...]]:
    """Return shares of much the same weight: the first currencies, which are the largest, go to different ones."""
    count = max(1, min(processes, len(ccys)))
    shares: list[list[str]] = [[] for _ in range(count)]
    for at, ccy in enumerate(ccys):
        there, back = divmod(at, count)
        shares[back if there % 2 == 0 else count - 1 - back].append(ccy)
    return [tuple(share) for share in shares]


# --- one share -----------------------------------------------------------------------------------


def _play(span: Span, every_ns: int | None, share: tuple[str, ...], *, has_payloads: bool) -> Iterator[Made | int]:
    """Yield what is made of a share's currencies (all, of none), at last the number of frames."""

    def pipeline(ccys: tuple[str, ...]) -> Pipeline:
        mine = tuple(ccy for ccy in ccys if ccy in share)
        return Pipeline(Rules(), mine or NOBODY if share else ccys)

    replaying = Replay(pipeline, partial(_is_of, share)) if share else Replay(pipeline)
    streams: dict[str, Stream] = {}
    named: dict[tuple[str, str], object] = {}
    surfaces = replay(read(span.folder, span.from_ns, span.to_ns), replaying, every_ns)
    for cycle, group in groupby(surfaces, lambda _: replaying.cycles):
        for surface in sorted(group, key=lambda at: at.ccy):
            state = state_of(surface)
            payloads = list(_publish(streams, state)) if has_payloads else []
            yield Made(cycle, state.ccy, surface.now_ns, _digest(state, named), payloads)
    yield replaying.frames


def _is_of(share: tuple[str, ...], venue: str, payload: bytes) -> bool:
    """Tell whether a frame may be about a currency of a share."""
    coin = coin_of(venue, payload)
    return coin is None or coin.decode().upper() in share


_EVERY_CYCLE = Variant(rate_ms=50)


def _digest(state: State, named: dict[tuple[str, str], object]) -> bytes:
    """Return the sum of all that is published of a state; names of rows (`named`: the last) when they change."""
    digest = hashlib.sha256(
        orjson.dumps([state.ccy, state.version, state.ts, state.conventions, state.head, state.fit])
    )
    for channel, table in state.tables.items():
        if named.get((state.ccy, channel)) != table.keys:
            named[state.ccy, channel] = table.keys
            digest.update(orjson.dumps([channel, table.keys]))
        digest.update(np.ascontiguousarray(table.values).tobytes())
    return digest.digest()


def _publish(streams: dict[str, Stream], state: State) -> Iterator[bytes]:
    stream = streams.get(state.ccy)
    if stream is None:
        stream = streams[state.ccy] = Stream(state.ccy, EPOCH)
        stream.update(state)
        stream.activate(_EVERY_CYCLE)
        for channel in STREAMED:
            yield stream.snapshot(_EVERY_CYCLE, channel)
        return
    stream.update(state)
    for payloads in stream.publish().values():
        yield from payloads.values()


# --- shares beside each other --------------------------------------------------------------------


def _tell(pipe: Connection[Any, Any], play: Callable[[], Iterator[Made | int]]) -> None:
    """Tell of what is made through a pipe."""
    told: list[Made] = []

    def send(frames: int | None = None, error: str | None = None) -> None:
        pipe.send_bytes(msgspec.msgpack.encode(Told(told, frames, error)))
        told.clear()

    with suppress(BrokenPipeError, KeyboardInterrupt):  # nobody listens any more
        try:
            for made in play():
                if isinstance(made, int):
                    send(frames=made)
                else:
                    told.append(made)
                    if len(told) >= BATCH:
                        send()
        except (SegmentError, OSError) as error:
            send(error=str(error))


class _Workers:
    """The processes of a replay; a single share is played in this one."""

    def __init__(self, span: Span, every_ns: int | None, shares: list[tuple[str, ...]], *, has_payloads: bool) -> None:
        self.frames = 0
        self._processes: list[Process] = []
        self._sources: list[Iterator[Made | int]] = []
        if len(shares) == 1:
            self._sources.append(_play(span, every_ns, (), has_payloads=has_payloads))
            return
        for share in shares:
            ours, theirs = Pipe(duplex=False)
            play = partial(_play, span, every_ns, share, has_payloads=has_payloads)
            process = Process(target=_tell, args=(theirs, play), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._sources.append(_hear(ours))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def made(self) -> Iterator[Made]:
        """Yield what all processes make, in the order of cycles and currencies. Raises SegmentError."""
        return heapq.merge(*map(self._counted, self._sources), key=lambda made: (made.cycle, made.ccy))

    def _counted(self, source: Iterator[Made | int]) -> Iterator[Made]:
        for made in source:
            if isinstance(made, int):
                self.frames = made
            else:
                yield made


def _hear(pipe: Connection[Any, Any]) -> Iterator[Made | int]:
    """Yield what a process tells. Raises SegmentError."""
    while True:
        try:
            told = _TOLD.decode(pipe.recv_bytes())
        except EOFError:
            raise SegmentError("a process of the replay ended before the recording did") from None
        yield from told.made
        if told.error is not None:
            raise SegmentError(told.error)
        if told.frames is not None:
            yield told.frames
            return


_TOLD = msgspec.msgpack.Decoder(Told)
