"""Raw → canonical, line by line, pinned.

`deribit-2021-04-17.ndjson` is what `derivasys decode deribit` printed for the first 60 lines of the capture of that name;
its quotes, marks, forwards and books were compared with the raw lines by eye when it was made. To make it anew:
head -60 fixtures/deribit/captures/deribit-2021-04-17.ws | derivasys decode deribit
"""

import json
from pathlib import Path

from tests.boards import FIXTURES

from derivasys.decode.deribit import Decoder
from derivasys.decode.ndjson import encode
from derivasys.record import capture

EXPECTED = Path(__file__).with_name("deribit-2021-04-17.ndjson")
CAPTURE = FIXTURES / "captures" / "deribit-2021-04-17.ws"


def test_the_first_lines_of_the_capture():
    decoder = Decoder()
    lines = capture.read(CAPTURE.read_bytes().splitlines()[:60])
    printed = [
        json.loads(encode(event, line.recv_ns))
        for line in lines
        if line.payload is not None
        for event in decoder.decode(line.payload, line.recv_ns or 0)
    ]
    assert printed == [json.loads(line) for line in EXPECTED.read_text().splitlines()]
