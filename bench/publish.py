"""What a published version costs after the fit: state, diff and encoding, by form and convention.

The recorded BTC board, simulated at 2,000 messages a second through one venue; medians over its cycles, in ms of CPU.
Each channel's patch over 200 ms is also written twice: by the compiled loop, and as a tree that orjson encodes.
"""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

import orjson

from derivasys.pipeline import Pipeline
from derivasys.testing.recordings import load_shipped
from derivasys.testing.session_recording import record_session
from derivasys.warm_up import warm_up
from derivasys.wire import table
from derivasys.wire.feed import TABLES, Feed
from derivasys.wire.patch_json import patch_json
from derivasys.wire.state import state_of
from derivasys.wire.variant import Variant

CYCLE_NS = 50_000_000
VARIANTS = {
    "compact": Variant(rate_ms=50),
    "compact, premium-adjusted": Variant(rate_ms=50, delta="premium_adjusted"),
    "compact, market strangle": Variant(rate_ms=50, fly="market_strangle"),
    "expanded": Variant(rate_ms=50, form="expanded"),
}


def run() -> dict:
    warm_up()
    surfaces = _surfaces()
    state_ms = _median(state_of, surfaces)
    out: dict = {"cycles": len(surfaces), "state": {"ms": state_ms}}
    for name, variant in VARIANTS.items():
        feed = Feed("BTC", "bench")
        feed.update(state_of(surfaces[0]))
        feed.activate(variant)
        sizes: dict[str, list[int]] = {}
        times = []
        for surface in surfaces[1:]:
            state = state_of(surface)
            started = time.thread_time_ns()
            feed.update(state)
            payloads = feed.publish().get(variant, {})
            times.append((time.thread_time_ns() - started) / 1e6)
            for channel, payload in payloads.items():
                sizes.setdefault(channel, []).append(len(payload))
        out[name] = {
            "ms": round(statistics.median(times), 3),
            "bytes": {channel: round(statistics.median(each)) for channel, each in sizes.items()},
        }
    return out | {"text": _texts(surfaces)}


def _texts(surfaces: list) -> dict[str, dict[str, float]]:
    """Return the ms that a patch over four cycles takes by channel, as text at once and by way of a tree."""
    states = [state_of(surface) for surface in surfaces[::4]]
    found = {}
    for channel in TABLES:
        pairs = [(was.tables[channel], now.tables[channel]) for was, now in pairwise(states)]
        found[channel] = {
            "loop": _median(lambda pair: orjson.dumps({"": patch_json(*pair)}), pairs),
            "tree": _median(lambda pair: orjson.dumps({"": table.patch(*pair)}), pairs),
        }
    return found


def _surfaces() -> list:
    frames = record_session(load_shipped("BTC"), seed=1, seconds=8.0, rate=2_000)
    pipeline = Pipeline()
    surfaces = []
    next_ns = frames[0][0]
    for recv_ns, payload in frames:
        while recv_ns >= next_ns:
            surfaces += pipeline.drain(next_ns)
            next_ns += CYCLE_NS
        pipeline.push("deribit", payload, recv_ns)
    return surfaces


def _median(work, items: list) -> float:
    times = []
    for item in items:
        started = time.thread_time_ns()
        work(item)
        times.append((time.thread_time_ns() - started) / 1e6)
    return round(statistics.median(times), 3)


def render(result: dict) -> str:
    lines = ["| | CPU ms a cycle | bytes by channel |", "|---|---|---|"]
    for name, at in result.items():
        if isinstance(at, dict) and "ms" in at:
            sizes = ", ".join(f"{channel} {size:,}" for channel, size in at.get("bytes", {}).items())
            lines.append(f"| {name} | {at['ms']} | {sizes} |")
    lines += [
        "",
        "| patch over 200 ms | written by the loop, ms | as a tree through orjson, ms | × |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {channel} | {ms['loop']} | {ms['tree']} | {ms['tree'] / max(ms['loop'], 1e-3):.1f} |"
        for channel, ms in result["text"].items()
    ]
    return "\n".join(lines)
