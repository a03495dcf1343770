"""Raw → canonical, line by line, pinned; and books against the venue's own checksums.

`okx-2022-02-27.ndjson` holds what `derivasys decode okx` printed of the options in fixtures/okx/captures/okx-2022-02-27
(`.instruments`, then `.ws`): every quote and trade, and every hundredth listing. `okx-messages.ndjson` is the same of
`okx-messages.ws`. Both were compared with the raw lines by eye when they were made.
"""

import json
import zlib
from pathlib import Path

from derivasys.decode.ndjson import encode
from derivasys.decode.okx import Decoder
from derivasys.messages import Instrument, Quote
from derivasys.record import capture

HERE = Path(__file__).parent
CAPTURES = HERE.parents[2] / "fixtures" / "okx" / "captures"


def lines(path: Path) -> list[capture.Line]:
    return [line for line in capture.read(path.read_bytes().splitlines()) if line.payload is not None]


def printed(decoder: Decoder, found: list[capture.Line]) -> list[dict]:
    return [
        json.loads(encode(event, line.recv_ns))
        for line in found
        for event in decoder.decode(line.payload, line.recv_ns or 0)
    ]


def pinned() -> list[dict]:
    decoder = Decoder()
    listed = [
        row
        for row in printed(decoder, lines(CAPTURES / "okx-2022-02-27.instruments"))
        if row["contract_kind"] == "option"
    ]
    moved = [row for row in printed(decoder, lines(CAPTURES / "okx-2022-02-27.ws")) if row["contract_kind"] == "option"]
    return listed[::100] + moved


def test_the_options_of_the_capture():
    expected = (HERE / "okx-2022-02-27.ndjson").read_text().splitlines()
    assert pinned() == [json.loads(line) for line in expected]


def test_one_message_of_each_kind():
    expected = (HERE / "okx-messages.ndjson").read_text().splitlines()
    assert printed(Decoder(), lines(HERE / "okx-messages.ws")) == [json.loads(line) for line in expected]


def test_the_listing_of_2022_states_other_multipliers_than_today():
    decoder = Decoder()
    for line in lines(CAPTURES / "okx-2022-02-27.instruments"):
        for event in decoder.decode(line.payload, line.recv_ns):
            assert isinstance(event, Instrument)
            if event.contract.kind == "option":
                assert event.contract_size == {"BTC": 0.1, "ETH": 1.0}[event.ccy]


def test_books_agree_with_every_checksum_of_the_venue():
    """A book of strings, kept beside the decoder's, has the checksum of each of 3,679 messages; the best prices agree."""
    decoder = Decoder()
    books: dict[str, tuple[dict, dict]] = {}
    verified = 0
    for line in lines(CAPTURES / "okx-2022-02-27.ws"):
        message = json.loads(line.payload)
        if message.get("arg", {}).get("channel") != "books-l2-tbt" or "data" not in message:
            continue
        symbol = message["arg"]["instId"]
        (quote,) = decoder.decode(line.payload, line.recv_ns)
        (row,) = message["data"]
        if message["action"] == "snapshot":
            books[symbol] = ({}, {})
        for side, changes in zip(books[symbol], (row["bids"], row["asks"]), strict=True):
            for price, size, *_ in changes:
                side[price] = size
                if size == "0":
                    del side[price]
        bids = sorted(books[symbol][0].items(), key=lambda level: -float(level[0]))[:25]
        asks = sorted(books[symbol][1].items(), key=lambda level: float(level[0]))[:25]
        parts = [text for at in range(25) for side in (bids, asks) for text in (side[at] if at < len(side) else ())]
        checksum = zlib.crc32(":".join(parts).encode())
        assert checksum - ((checksum >> 31) << 32) == row["checksum"]
        verified += 1
        assert isinstance(quote, Quote)
        assert quote.bid == (float(bids[0][0]) if bids else None)
        assert quote.ask == (float(asks[0][0]) if asks else None)
    assert verified == 3679
