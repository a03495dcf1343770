"""Decoding, by venue: ns a message to typed canonical events, against orjson to a dict and against ccxt's parsers.

The frames are those of the local venues (seeded), as a connector would receive them. ccxt runs in the peers' environment
(scripts/peers.sh) on the same frames; its figure is its own parser on a message already loaded from JSON, plus the loading.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from pathlib import Path

import orjson

from _frames import frames
from derivasys.decode import DECODERS

ROUNDS = 7
PEER = Path(__file__).parents[1] / ".cache" / "peers" / "bin" / "python"
CCXT = """
import json, statistics, sys, time
import ccxt
venue = sys.argv[1]
frames = [line.encode() for line in sys.stdin.read().splitlines()]
exchange = getattr(ccxt, venue)()
def rows(message):
    if venue == "deribit":
        data = message.get("params", {}).get("data")
        return [data] if isinstance(data, dict) and "best_bid_price" in data else []
    data = message.get("data")
    rows = data if isinstance(data, list) else [data] if isinstance(data, dict) else []
    return [row for row in rows if isinstance(row, dict)]
market = exchange.safe_market(None)
def parse(payload):
    message = json.loads(payload)
    for row in rows(message):
        exchange.parse_ticker(row, market)
kept = []
for payload in frames:
    try:
        if rows(json.loads(payload)):
            parse(payload)
            kept.append(payload)
    except Exception:
        pass
times = []
for _ in range(3):
    started = time.perf_counter()
    for payload in kept:
        parse(payload)
    times.append((time.perf_counter() - started) / max(1, len(kept)))
print(json.dumps({"messages": len(kept), "us": round(1e6 * statistics.median(times), 2) if kept else None}))
"""


def run() -> dict:
    return {venue: of_venue(venue) for venue in DECODERS}


def of_venue(venue: str) -> dict:
    decoder, kept = frames(venue)
    sample = [payload for payload in kept if payload[:1] in b"{["]
    events = sum(len(decoder.decode(payload, 1)) for payload in sample)
    ours, dicts = [], []
    for _ in range(ROUNDS):  # interleaved, so that both see the same machine
        started = time.perf_counter()
        for payload in sample:
            decoder.decode(payload, 1)
        middle = time.perf_counter()
        for payload in sample:
            orjson.loads(payload)
        ours.append((middle - started) / len(sample))
        dicts.append((time.perf_counter() - middle) / len(sample))
    us = statistics.median(ours) * 1e6
    return {
        "messages": len(sample),
        "events_per_message": round(events / len(sample), 2),
        "bytes": round(statistics.mean(map(len, sample))),
        "us": round(us, 2),
        "per_s": round(1e6 / us),
        "orjson_dict_us": round(statistics.median(dicts) * 1e6, 2),
        "ccxt": peer(venue, sample),
    }


def peer(venue: str, sample: list[bytes]) -> dict | None:
    if not PEER.exists():
        return None
    text = b"\n".join(sample[:3000])
    result = subprocess.run([PEER, "-c", CCXT, venue], input=text, capture_output=True, check=False)
    return json.loads(result.stdout) if result.returncode == 0 else None


def render(result: dict) -> str:
    lines = [
        "| venue | bytes | events a message | ours, µs | messages/s a core | orjson to dict, µs | ccxt, µs (JSON and parse) |",
        "|---|---|---|---|---|---|---|",
    ]
    for venue, row in result.items():
        ccxt = row["ccxt"]
        told = f"{ccxt['us']}" if ccxt and ccxt["us"] else "–"
        lines.append(
            f"| {venue} | {row['bytes']} | {row['events_per_message']} | {row['us']} | {row['per_s']:,} |"
            f" {row['orjson_dict_us']} | {told} |"
        )
    return "\n".join(lines)
