"""Every kind of bad file gives one line that names the place and the mend."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.boards import BTC_SUMMARY, ETH_SUMMARY, summary_rows

from derivasys.messages import Forward, Instrument, Mark, Quote
from derivasys.record.chain_file import ChainFileError, read

HEADER = "expiry,strike,type,bid,ask"
ROW = "2026-03-27,100,C,5,6"


def written(tmp_path, text: str, name: str = "chain.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def of_kind(chain, kind):
    return [event for event in chain.events if isinstance(event, kind)]


def test_the_recorded_reply():
    chain = read(BTC_SUMMARY)
    assert chain.ccys == ("BTC",)
    assert len(of_kind(chain, Instrument)) == 964
    assert sum(q.bid is not None and q.ask is not None for q in of_kind(chain, Quote)) == 916
    assert chain.now_ns // 10**9 == 1773428415


def test_the_bare_list_is_the_same(tmp_path):
    bare = read(written(tmp_path, json.dumps(summary_rows()), "bare.json"))
    assert len(bare.events) == len(read(BTC_SUMMARY).events)


def test_the_summary_as_csv():
    chain = read(ETH_SUMMARY)
    assert (chain.ccys, len(of_kind(chain, Quote))) == (("ETH",), 684)


@pytest.mark.parametrize("expiry", ["2026-03-27", "2026-03-27T08:00:00Z", "2026-03-27T10:00:00+02:00", "1774598400000"])
def test_a_minimal_table(tmp_path, expiry):
    chain = read(written(tmp_path, f"{HEADER}\n{expiry},100,C,5,6\n"), ts="2026-03-01T00:00:00")
    (quote,) = of_kind(chain, Quote)
    assert quote.contract.expiry == 1774598400000
    assert (quote.bid, quote.ask, quote.contract.price_unit) == (5.0, 6.0, "quote")
    assert chain.now_ns == 1772323200 * 10**9


def test_a_full_table(tmp_path):
    header = "venue,ccy,expiry,strike,type,bid,ask,bid_size,ask_size,mark,mark_iv,forward,price_unit,ts"
    row = "okx,BTC,2026-03-27,100000,P,0.01,,2,,0.011,0.63,101000,coin,1773428416000"
    chain = read(written(tmp_path, f"{header}\n{row}\n"))
    (quote,) = of_kind(chain, Quote)
    assert (quote.contract.venue, quote.contract.price_unit, quote.ask) == ("okx", "coin", None)
    assert of_kind(chain, Mark)[0].iv == 0.63
    assert of_kind(chain, Forward)[0].price == 101000.0
    assert chain.now_ns == 1773428416 * 10**9


def test_parquet_is_the_same_as_csv(tmp_path):
    rows = {
        "expiry": ["2026-03-27"] * 2,
        "strike": [100.0, 110.0],
        "type": ["C", "P"],
        "bid": [5.0, None],
        "ask": [6.0, 7.0],
    }
    pq.write_table(pa.table(rows), tmp_path / "chain.parquet")
    chain = read(tmp_path / "chain.parquet", ts="1773428416000")
    assert [(q.contract.strike, q.bid, q.ask) for q in of_kind(chain, Quote)] == [(100.0, 5.0, 6.0), (110.0, None, 7.0)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        (HEADER, "no option rows"),
        ("expiry,strike,type,bid\n", "missing column ask; found expiry, strike, type, bid"),
        ("a,b\n1,2\n", "missing columns expiry, strike, type, bid, ask"),
        (f"{HEADER}\n{ROW},7\n", "row 1: more cells than the header"),
        (f"{HEADER}\n{ROW}\n2026-03-27,x,C,5,6\n", "row 2, column strike: 'x' is not a number"),
        (f"{HEADER}\n2026-03-27,0,C,5,6\n", "row 1, column strike: '0' is not above zero"),
        (f"{HEADER}\n2026-03-27,,C,5,6\n", "row 1, column strike: '' is not above zero"),
        (f"{HEADER}\n2026-03-27,100,X,5,6\n", "row 1, column type: 'X' is not C or P"),
        (f"{HEADER}\n2026-03-27,100,C,-5,6\n", "row 1, column bid: -5 is negative"),
        (f"{HEADER}\n2026-03-27,100,C,5,nan\n", "row 1, column ask: 'nan' is not finite"),
        (f"{HEADER}\nsoon,100,C,5,6\n", "row 1, column expiry: 'soon' is not ISO 8601 or epoch ms"),
        (f"{HEADER}\n1774598400,100,C,5,6\n", "row 1, column expiry: '1774598400' is not epoch milliseconds"),
        (f"{HEADER}\n{ROW}\n{ROW}\n", "row 2: the same option as row 1"),
        (f"{HEADER},price_unit\n{ROW},euro\n", "row 1, column price_unit: 'euro' is not coin or quote"),
        (f"{HEADER},mark_iv\n{ROW},63\n", "row 1, column mark_iv: 63 looks like percent"),
        (f"{HEADER},ts\n{ROW},yesterday\n", "row 1, column ts: 'yesterday'"),
    ],
)  # fmt: skip
def test_bad_tables_name_row_and_column(tmp_path, text, says):
    with pytest.raises(ChainFileError) as error:
        read(written(tmp_path, text), ts="2026-03-01")
    assert says in str(error.value)


def test_a_table_without_time_asks_for_one(tmp_path):
    with pytest.raises(ChainFileError, match="row 1, column ts: no time; fill the column or give --ts"):
        read(written(tmp_path, f"{HEADER}\n{ROW}\n"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a Deribit book summary"),
        ("[1]", "row 1"),
        ('{"result": null}', "no `result`"),
        ('{"error": {"code": 10028}}', "the reply is an error"),
        ("[]", "no option rows"),
        ('[{"instrument_name": "BTC-27MAR26-1-C"}]', "row 1: Object missing required field `creation_timestamp`"),
        ('[{"instrument_name": "what", "creation_timestamp": 1}]', "row 1: 'what' is not a Deribit contract name"),
        ('[{"instrument_name": "BTC-27MAR26-1-C", "creation_timestamp": 1, "bid_price": -1}]', "bid price -1"),
        ('[{"instrument_name": "BTC-27MAR26-1-C", "creation_timestamp": 1, "bid_price": "1"}]', "row 1: Expected `float | null`, got `str` - at `$.bid_price`"),
    ],
)  # fmt: skip
def test_bad_replies_name_the_row(tmp_path, text, says):
    with pytest.raises(ChainFileError) as error:
        read(written(tmp_path, text, "reply.json"))
    assert says in str(error.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(ChainFileError, match="not UTF-8"):
        read(tmp_path / "x.csv")
    (tmp_path / "x.parquet").write_bytes(b"PAR1nonsense")
    with pytest.raises(ChainFileError, match="not a Parquet file"):
        read(tmp_path / "x.parquet")
    with pytest.raises(ChainFileError, match="No such file"):
        read(tmp_path / "none.csv")


def test_a_parquet_file_where_pyarrow_is_missing_says_so(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ChainFileError, match="pyarrow is not installed"):
        read(tmp_path / "x.parquet")
