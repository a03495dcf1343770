"""Recorded chains load whole and typed, in both formats, and say what is wrong with a file."""

import math
from pathlib import Path

import numpy as np
import orjson
import pytest

from derivasys.testing.market.black76 import price_greeks
from derivasys.testing.recordings import (
    CHAINS,
    FIXTURES_ENV,
    YEAR_MS,
    RecordingError,
    fixtures_dir,
    load_chain,
    load_shipped,
)


def test_the_bitcoin_chain() -> None:
    chain = load_shipped("BTC")
    assert chain.label == "Deribit BTC 2026-03-13 19:00:16 UTC"
    assert chain.instant_ns == 1_773_428_416_015_068_000
    assert chain.index_price == 71048.7
    assert len(chain.rows) == 964
    assert len({row.expiry for row in chain.rows}) == 12
    assert sum(row.bid is not None and row.ask is not None for row in chain.rows) == 916
    first = chain.rows[0]
    assert (first.symbol, first.bid, first.ask) == ("BTC-25DEC26-100000-C", 0.0715, 0.073)
    assert (first.mark, first.mark_iv, first.underlying_index) == (0.07301792, 50.34, "BTC-25DEC26")


def test_the_ether_chain_and_its_implied_marks() -> None:
    chain = load_shipped("ETH")
    assert chain.label == "Deribit ETH 2024-01-08 11:19:41 UTC"
    assert len(chain.rows) == 684
    assert len({row.expiry for row in chain.rows}) == 11
    rows = [row for row in chain.rows if row.mark_iv is not None]
    assert len(rows) >= 670  # the others have a mark of a few units in the last place
    price, *_ = price_greeks(
        np.array([row.underlying_price for row in rows]),
        np.array([row.strike for row in rows]),
        np.array([(row.expiry - row.time_ms) / YEAR_MS for row in rows]),
        np.array([row.mark_iv or math.nan for row in rows]) / 100.0,
        np.array([row.type == "C" for row in rows]),
    )
    for row, value in zip(rows, price, strict=True):
        assert value / row.underlying_price == pytest.approx(row.mark, abs=3e-5), row.symbol


def test_a_bare_list_is_the_same_chain(tmp_path: Path) -> None:
    whole = fixtures_dir() / CHAINS["BTC"]
    bare = tmp_path / "bare.json"
    bare.write_bytes(orjson.dumps(orjson.loads(whole.read_bytes())["result"]))
    assert load_chain(bare).rows == load_chain(whole).rows


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", b"{", "truncated"),
        ("a.json", b"[]", "no rows"),
        ("a.json", b'{"result":[{"instrument_name":"BTC-1-C"}]}', "no Deribit option"),
        ("a.csv", b"instrument_name\nBTC-5JUN26-100-C\n", "no creation_timestamp"),
    ],
)
def test_a_file_that_is_no_chain_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RecordingError, match=says) as error:
        load_chain(file)
    assert str(file) in str(error.value)


def test_the_fixtures_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FIXTURES_ENV, str(tmp_path))
    assert fixtures_dir() == tmp_path
    monkeypatch.setenv(FIXTURES_ENV, str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=FIXTURES_ENV):
        fixtures_dir()


def test_a_coin_without_recording_is_refused() -> None:
    with pytest.raises(RecordingError, match="no recording of SOL"):
        load_shipped("SOL")
