"""All collected frames of Derive decode, or are rejected with a reason (development data, not shipped)."""

import json
import os
from pathlib import Path

import pytest

from derivasys.decode.derive import Decoder
from derivasys.messages import DecodeError, Quote


def frames() -> list[Path]:
    folder = os.environ.get("DERIVASYS_DATA")
    return sorted(Path(folder, "frames", "derive").glob("*.json")) if folder else []


@pytest.mark.skipif(
    not frames(), reason="DERIVASYS_DATA names no folder with frames/derive (development data, not shipped)"
)
@pytest.mark.parametrize("file", frames(), ids=lambda file: file.name)
def test_every_collected_frame_decodes_in_its_envelope(file):
    """The files hold what stands inside an envelope; bare they have a reason."""
    data = json.loads(file.read_text())
    name = "ETH-20260627-3500-C"
    if file.name.startswith("ws_ticker"):
        message = {"method": "subscription", "params": {"channel": f"ticker_slim.{name}.1000", "data": data}}
    elif file.name.startswith("ws_trade"):
        message = {"method": "subscription", "params": {"channel": "trades.option.ETH", "data": data}}
    else:
        message = {"id": 1, "result": data}
    found = Decoder().decode(json.dumps(message, separators=(",", ":")).encode(), 1)
    assert found
    if "ticker" in file.name:
        assert isinstance(found[0], Quote)
    with pytest.raises(DecodeError) as error:
        Decoder().decode(json.dumps(data).encode(), 1)
    assert error.value.reason == "bad_shape"
