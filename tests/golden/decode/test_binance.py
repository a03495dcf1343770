"""Raw → canonical, line by line, pinned.

`binance-messages.ndjson` is what `derivasys decode binance tests/golden/decode/binance-messages.ws` printed; forward and
undiscounted prices were compared with the venue's own vols and greeks when it was made (tests/unit/decode/test_binance.py).
"""

import json
import os
from pathlib import Path

import pytest

from derivasys.decode.binance import Decoder
from derivasys.decode.ndjson import encode
from derivasys.messages import DecodeError
from derivasys.record import capture

HERE = Path(__file__).parent


def test_one_message_of_each_kind():
    decoder = Decoder()
    printed = [
        json.loads(encode(event, line.recv_ns))
        for line in capture.read((HERE / "binance-messages.ws").read_bytes().splitlines())
        if line.payload is not None
        for event in decoder.decode(line.payload, line.recv_ns or 0)
    ]
    assert printed == [json.loads(line) for line in (HERE / "binance-messages.ndjson").read_text().splitlines()]


def frames() -> list[Path]:
    folder = os.environ.get("DERIVASYS_DATA")
    return sorted(Path(folder, "frames", "binance").glob("*.json")) if folder else []


@pytest.mark.skipif(
    not frames(), reason="DERIVASYS_DATA names no folder with frames/binance (development data, not shipped)"
)
@pytest.mark.parametrize("file", frames(), ids=lambda file: file.name)
def test_every_collected_frame_decodes(file):
    """As combined streams send it; of the bare data only depth is rejected, which needs its stream's name."""
    decoder = Decoder()
    for message in json.loads(file.read_text()):
        decoder.decode(json.dumps(message, separators=(",", ":")).encode(), 1)
        try:
            decoder.decode(json.dumps(message["data"]).encode(), 1)
        except DecodeError as error:
            assert "@depth" in message["stream"]
            assert error.reason == "bad_shape"
