"""Every message of all collected captures and frames: events, a message without market data, or a reason."""

import os
import re
from pathlib import Path

import pytest

from derivasys.decode import DECODERS
from derivasys.messages import DecodeError
from derivasys.record import capture

DATA = Path(os.environ.get("DERIVASYS_DATA", ""))
FILES = [
    pytest.param(venue, file, id=file.stem)
    for venue in DECODERS
    for pattern in (f"captures/{venue}-*.ws", f"captures/{venue}-*.instruments", f"frames/{venue}/*.json")
    for file in (sorted(DATA.glob(pattern)) if DATA.name else ())
]
WITHOUT_EVENTS = {
    "deribit": rb'"result":\s?(\[\s*"|\d+,?\s|\{\s*"(option|btc)")|"error":|"heartbeat"|"(chart\.trades|deribit_volatility_index)\.',
    "okx": rb'^\{"event":"subscribe"|"candle1m"',
    "bybit": rb'"op": "subscribe"',
    "binance": rb'"(24hrTicker|openInterest)"',
}
"""Replies and acknowledgements, candles, statistics, open interest alone; see docs/venues.md."""
BARE = "without its envelope"

pytestmark = pytest.mark.skipif(
    not FILES, reason="DERIVASYS_DATA names no folder with captures/ and frames/ (development data, not shipped)"
)


@pytest.mark.parametrize(("venue", "file"), FILES)
def test_every_message_is_accounted_for(venue, file):
    decoder, messages = DECODERS[venue](), 0
    with file.open("rb") as lines:
        for line in capture.read(lines):
            if line.payload is None:
                continue
            messages += 1
            try:
                events = decoder.decode(line.payload, line.recv_ns or 0)
            except DecodeError as error:
                assert BARE in error.detail, (line.number, error)
                assert not re.search(rb'"(jsonrpc|method|result|channel)"', line.payload)
                continue
            assert events or re.search(WITHOUT_EVENTS[venue], line.payload), (line.number, line.payload[:200])
    assert messages
