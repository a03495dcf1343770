"""Raw → canonical, line by line, pinned.

`bybit-messages.ndjson` is what `derivasys decode bybit tests/golden/decode/bybit-messages.ws` printed; it was compared with
the raw lines by eye when it was made.
"""

import json
import os
from pathlib import Path

import pytest

from derivasys.decode.bybit import Decoder
from derivasys.decode.ndjson import encode
from derivasys.messages import DecodeError
from derivasys.record import capture

HERE = Path(__file__).parent


def test_one_message_of_each_kind():
    decoder = Decoder()
    printed = [
        json.loads(encode(event, line.recv_ns))
        for line in capture.read((HERE / "bybit-messages.ws").read_bytes().splitlines())
        if line.payload is not None
        for event in decoder.decode(line.payload, line.recv_ns or 0)
    ]
    assert printed == [json.loads(line) for line in (HERE / "bybit-messages.ndjson").read_text().splitlines()]


def collected() -> list[Path]:
    folder = os.environ.get("DERIVASYS_DATA")
    return sorted(Path(folder, "frames", "bybit").glob("*.json")) if folder else []


@pytest.mark.skipif(
    not collected(), reason="DERIVASYS_DATA names no folder with frames/bybit (development data, not shipped)"
)
@pytest.mark.parametrize("file", collected(), ids=lambda file: file.name)
def test_everything_collected_decodes_or_has_a_reason(file):
    content = json.loads(file.read_text())
    decoder = Decoder()
    for message in content if isinstance(content, list) else [content]:
        try:
            decoder.decode(json.dumps(message).encode(), 1)
        except DecodeError as error:
            assert error.reason
            assert error.detail
