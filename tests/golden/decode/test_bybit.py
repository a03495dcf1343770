"""Raw → canonical, line by line, pinned.

`bybit-messages.ndjson` is what `derivasys decode bybit tests/golden/decode/bybit-messages.ws` printed; it was compared with
the raw lines by eye when it was made.
"""

import json
from pathlib import Path

from derivasys.decode.bybit import Decoder
from derivasys.decode.ndjson import encode
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
