"""Decoding, by venue: ns a message to typed canonical events, against orjson to a dict, ccxt's parser, cryptofeed's handler.

The frames are the tickers of the local venues (seeded), as a connector would receive them. The peers run in their own
environment (scripts/peers.sh) on the same frames, bytes in: ccxt loads JSON and calls `parse_ticker`; cryptofeed, which
knows options of Deribit and OKX only, gets the frame by its `message_handler` and hands a typed ticker to a callback.
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

CRYPTOFEED = """
import asyncio, json, statistics, sys, time
from cryptofeed.defines import TICKER
from cryptofeed.exchanges import OKX, Deribit
from cryptofeed.symbols import Symbols
make, mark = {"deribit": (Deribit, '"instrument_name":"'), "okx": (OKX, '"instId":"')}[sys.argv[1]]
frames = sys.stdin.read().splitlines()
names = {frame.split(mark, 1)[1].split('"', 1)[0] for frame in frames}
Symbols.set(make.id, {name: name for name in names}, {"instrument_type": {name: "option" for name in names}})
seen = []
async def told(ticker, received):
    seen.append(ticker.bid)
feed = make(callbacks={TICKER: told})  # no channels: on Deribit they would ask for keys
feed._open_interest_cache = {}  # as when it connects
class Connection:
    uuid = "bench"
async def main():
    kept, times = [], []
    for frame in frames:
        try:
            await feed.message_handler(frame, Connection, 0.0)
        except Exception:  # a ticker without a bid or an ask
            continue
        kept.append(frame)
    frames[:] = kept
    for _ in range(3):
        seen.clear()
        started = time.perf_counter()
        for frame in frames:
            await feed.message_handler(frame, Connection, 0.0)
        times.append((time.perf_counter() - started) / len(frames))
    assert len(seen) == len(frames), (len(seen), len(frames))
    print(json.dumps({"messages": len(frames), "us": round(1e6 * statistics.median(times), 2)}))
asyncio.run(main())
"""
TICKERS = {
    "deribit": b'"channel":"ticker.',
    "okx": b'"channel":"tickers"',
    "bybit": b'"topic":"tickers.',
    "binance": b"@bookTicker",
    "derive": b"ticker_slim.",
}


def run() -> dict:
    return {venue: of_venue(venue) for venue in DECODERS}


def of_venue(venue: str) -> dict:
    decoder, kept = frames(venue)
    sample = [payload for payload in kept if TICKERS[venue] in payload[:128]]
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
        "ns": round(1000 * us),
        "per_s": round(1e6 / us),
        "orjson_dict_ns": round(statistics.median(dicts) * 1e9),
        "ccxt": peer(CCXT, venue, sample),
        "cryptofeed": peer(CRYPTOFEED, venue, sample) if venue in ("deribit", "okx") else None,
    }


def peer(program: str, venue: str, sample: list[bytes]) -> dict | None:
    """Return a peer's time on the same frames; None where it is not installed or cannot read them."""
    if not PEER.exists():
        return None
    text = b"\n".join(sample[:3000])
    result = subprocess.run([PEER, "-c", program, venue], input=text, capture_output=True, check=False)
    return json.loads(result.stdout) if result.returncode == 0 else None


def render(result: dict) -> str:
    lines = [
        "| venue | bytes | events a message | ours, ns | messages/s a core | orjson to dict, ns | ccxt, ns | cryptofeed, ns |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for venue, row in result.items():
        peers = [
            f"{1000 * row[name]['us']:.0f}" if row[name] and row[name]["us"] else "–" for name in ("ccxt", "cryptofeed")
        ]
        lines.append(
            f"| {venue} | {row['bytes']} | {row['events_per_message']} | {row['ns']} | {row['per_s']:,} |"
            f" {row['orjson_dict_ns']} | {' | '.join(peers)} |"
        )
    return "\n".join(lines)
