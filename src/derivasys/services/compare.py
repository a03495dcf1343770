"""`derivasys compare`: what two sets of topics said of the same time, published surfaces and another fitter's.

Both histories are read from `patches`, which holds whole states every 30 seconds; they are compared once a second of
their own time (`ts`), state by state as a client would have had them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition
from msgspec import Struct

from derivasys.bus import records
from derivasys.bus.clients import CONNECT_S_MAX, Clients, is_end
from derivasys.bus.records import BadRecord, Stamp
from derivasys.bus.settings import BusError
from derivasys.bus.topics import PATCHES
from derivasys.services.states import KEYFRAME_S
from derivasys.wire.feed import State

STEP_MS = 1000
STATES_MAX = 100_000
"""Samples of one currency: more than a day."""
NUMBERS = {
    "atm_vol": ("atm_vol",),
    "rr25": ("risk_reversals", "RR25"),
    "fly25": ("flies", "FLY25"),
    "rmse": ("fit", "rmse"),
}
"""Compared by expiry, in vol points."""


class Difference(Struct, frozen=True):
    """Absolute differences of one number over all expiries and moments; vol points, `forward` in bp."""

    count: int
    mean: float
    p50: float
    p99: float
    max: float


class Comparison(Struct, frozen=True):
    """What is told of one currency."""

    ccy: str
    moments: int
    """Seconds in which both had a state."""
    only_base: int
    """Moments that one of them had nothing for."""
    only_other: int
    builds: tuple[str, ...]
    expiries: int
    missing: int
    """Expiries of a moment that one had and the other had not (or rejected)."""
    certified: tuple[int, int]
    """Certified smiles of either."""
    inside: tuple[float, float]
    """Mean share of used quotes inside the smile's band."""
    differences: dict[str, Difference]


def compare(base: Clients, other: Clients, from_ms: int, to_ms: int) -> list[Comparison]:
    """Return the comparison of each currency that either has. Raises BusError when there is nothing to compare."""
    ours, builds = history(base, from_ms, to_ms)
    theirs, other_builds = history(other, from_ms, to_ms)
    found = [
        _compare(ccy, ours.get(ccy, {}), theirs.get(ccy, {}), (builds.get(ccy, ""), other_builds.get(ccy, "")))
        for ccy in sorted(ours.keys() | theirs.keys())
    ]
    if not any(each.moments for each in found):
        raise BusError("there is no moment for which both sets of topics have a surface")
    return found


History = dict[str, dict[int, State]]
"""By currency and step: the last state up to the step's end."""


def history(clients: Clients, from_ms: int, to_ms: int) -> tuple[History, dict[str, str]]:
    """Return the states published from `from_ms` to `to_ms`, one a step, and who published them. Raises BusError."""
    topic = clients.topic(PATCHES)
    topics = clients.admin().list_topics(timeout=CONNECT_S_MAX).topics
    if topic not in topics:
        raise BusError(f"topic {topic} is not there")
    found: History = {}
    builds: dict[str, str] = {}
    for part in topics[topic].partitions:
        held: dict[str, tuple[Stamp, State]] = {}
        for message in _read(clients, TopicPartition(topic, part), from_ms - int(1000 * KEYFRAME_S), to_ms):
            _take(message, held, found, builds, from_ms)
    return found, builds


def _take(
    message: Any, held: dict[str, tuple[Stamp, State]], found: History, builds: dict[str, str], from_ms: int
) -> None:  # fmt: skip
    try:
        at, is_full = records.stamp(message)
        record = records.decode_state(message)
        before = held.get(record.ccy)
        if before is not None and at <= before[0]:
            return
        if not is_full and (before is None or before[0].epoch != at.epoch):
            return
        state = records.state_from(record, None if before is None else before[1])
    except BadRecord:
        return
    if state is None:
        held.pop(record.ccy, None)
        return
    held[record.ccy] = (at, state)
    if state.ts >= from_ms:
        of_ccy = found.setdefault(record.ccy, {})
        if len(of_ccy) < STATES_MAX:
            of_ccy[state.ts // STEP_MS] = state
        builds[record.ccy] = (records.header(message, records.BUILD_HEADER) or b"").decode("utf-8", "replace")


def _read(clients: Clients, at: TopicPartition, from_ms: int, to_ms: int) -> Iterator[Any]:
    reader = clients.reader()
    try:
        asked = TopicPartition(at.topic, at.partition, max(0, from_ms))
        reader.assign(reader.offsets_for_times([asked], timeout=CONNECT_S_MAX))
        while True:
            for message in reader.consume(500, 0.2):
                if is_end(message):
                    return
                if message.error() is None and message.timestamp()[1] < to_ms:
                    yield message
    finally:
        reader.close()


def _compare(ccy: str, ours: dict[int, State], theirs: dict[int, State], builds: tuple[str, str]) -> Comparison:
    common = sorted(ours.keys() & theirs.keys())
    deltas: dict[str, list[float]] = {name: [] for name in (*NUMBERS, "forward")}
    expiries = missing = 0
    certified = [0, 0]
    inside: list[tuple[float, float]] = []
    for step in common:
        one, two = _smiles(ours[step]), _smiles(theirs[step])
        missing += len(one.keys() ^ two.keys())
        for expiry in one.keys() & two.keys():
            expiries += 1
            _add(deltas, one[expiry], two[expiry])
        for at, smiles in enumerate((one, two)):
            certified[at] += sum(_is_certified(smile) for smile in smiles.values())
        shares = (ours[step].fit.get("inside"), theirs[step].fit.get("inside"))
        if shares[0] is not None and shares[1] is not None:
            inside.append((float(shares[0]), float(shares[1])))
    means = np.mean(inside, axis=0) if inside else (np.nan, np.nan)
    return Comparison(
        ccy=ccy, moments=len(common), only_base=len(ours.keys() - theirs.keys()),
        only_other=len(theirs.keys() - ours.keys()), builds=builds, expiries=expiries, missing=missing,
        certified=(certified[0], certified[1]), inside=(round(float(means[0]), 4), round(float(means[1]), 4)),
        differences={name: _summary(values) for name, values in deltas.items() if values},
    )  # fmt: skip


def _smiles(state: State) -> dict[str, dict[str, Any]]:
    """Return the smiles that are not rejected, by expiry."""
    table = state.tables["surface"]
    rows = {key[0]: table.row(at) for at, key in enumerate(table.keys)}
    return {expiry: row for expiry, row in rows.items() if "params" in row}


def _add(deltas: dict[str, list[float]], one: dict[str, Any], two: dict[str, Any]) -> None:
    for name, path in NUMBERS.items():
        a, b = _at(one, path), _at(two, path)
        if a is not None and b is not None:
            deltas[name].append(abs(a - b))
    a, b = _at(one, ("forward", "price")), _at(two, ("forward", "price"))
    if a is not None and b is not None:
        deltas["forward"].append(abs(a / b - 1.0) * 1e4)


def _at(row: dict[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_certified(smile: dict[str, Any]) -> bool:
    told = smile.get("certificate", {})
    return all(told.get(name) == "certified" for name in ("butterfly", "calendar", "lee"))


def _summary(values: list[float]) -> Difference:
    p50, p99 = np.quantile(values, (0.5, 0.99))
    told = (float(np.mean(values)), float(p50), float(p99), max(values))
    return Difference(len(values), *(round(value, 4) for value in told))


def table(found: list[Comparison]) -> str:
    """Return the comparisons as text."""
    lines = []
    for each in found:
        lines.append(
            f"{each.ccy}: {each.moments} moments ({each.only_base} only in the base, {each.only_other} only in the "
            f"other), {each.expiries} smiles compared, {each.missing} in one only; "
            f"builds {each.builds[0]} and {each.builds[1]}"
        )
        lines.append(
            f"  certified {each.certified[0]} and {each.certified[1]}; "
            f"quotes inside {each.inside[0]:.2%} and {each.inside[1]:.2%}"
        )
        for name, at in each.differences.items():
            unit = "bp" if name == "forward" else "vol points"
            lines.append(f"  |Δ {name}|: mean {at.mean:g}, p50 {at.p50:g}, p99 {at.p99:g}, max {at.max:g} {unit}")
    return "\n".join(lines)
