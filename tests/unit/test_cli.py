"""The commands as a user calls them."""

import json
import os
import subprocess
import sys

import msgspec
import pytest
from tests.boards import BTC_SUMMARY, CAPTURES, ETH_SUMMARY, summary_rows

from derivasys.cli import main
from derivasys.wire.documents import SurfaceDocument


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def out(capfdbinary):
    def call(*arguments) -> tuple[int, bytes, bytes]:
        code = main([str(argument) for argument in arguments])
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(("file", "expiries"), [(BTC_SUMMARY, 12), (ETH_SUMMARY, 11)])
def test_fit_fits_every_expiry_of_the_recorded_chains(out, file, expiries):
    code, printed, _ = out("fit", file, "--json")
    assert code == 0
    body = msgspec.json.decode(printed, type=SurfaceDocument)
    assert [smile.fit.state for smile in body.smiles] == ["fitted"] * expiries
    for smile in body.smiles:
        assert all(quote.used or quote.reason for quote in smile.quotes)
        assert sum(quote.used for quote in smile.quotes) >= 5
        assert smile.quotes == sorted(smile.quotes, key=lambda quote: quote.strike)


def test_fit_agrees_with_the_venues_marks(out):
    """The fit and Deribit's own mark IV describe the same market."""
    body = json.loads(out("fit", BTC_SUMMARY, "--json")[1])
    marks = {row["instrument_name"]: row["mark_iv"] for row in summary_rows()}
    gaps = []
    for smile in body["smiles"]:
        p, tau = smile["params"], smile["tau"]
        for quote in smile["quotes"]:
            if quote["used"] and abs(quote["log_moneyness"]) < 0.1:
                x = quote["log_moneyness"] - p["m"]
                w = p["a"] + p["b"] * (p["rho"] * x + (x * x + p["sigma"] ** 2) ** 0.5)
                name = f"BTC-{smile['label']}-{quote['strike']:g}-{quote['type']}"
                name = f"BTC-{smile['label']}-{int(quote['strike'])}-{quote['type']}"
                gaps.append(abs(100 * (w / tau) ** 0.5 - marks[name]))
    gaps.sort()
    assert gaps[len(gaps) // 2] < 0.3, "vol points, median"


def test_fit_as_text_and_picture(out, tmp_path):
    picture = tmp_path / "smiles.png"
    code, printed, _ = out("fit", BTC_SUMMARY, "--plot", picture)
    assert code == 0
    assert b"14MAR26" in printed
    assert picture.read_bytes()[:4] == b"\x89PNG"


TABLE = "expiry,strike,type,bid,ask,forward\n"


@pytest.mark.parametrize(
    ("rows", "state", "reason"),
    [
        ("2026-02-27,{k},C,5,6,100", "rejected", "expired"),
        ("2026-03-27,{k},C,,,100", "rejected", "no usable quote: mostly no_quote"),
        ("2026-03-27,{k},C,9,6,100", "rejected", "no usable quote: mostly crossed"),
        ("2026-03-27,{k},C,,6,100", "rejected", "no usable quote: mostly one_sided"),
        ("2026-03-27,{k},C,5,6,", "rejected", "no forward"),
        ("2026-03-01T00:20:00,{k},C,0.01,0.02,100", "rejected", "no usable quote: mostly settlement_window"),
    ],
)
def test_fit_explains_an_expiry_it_cannot_fit(out, tmp_path, rows, state, reason):
    file = tmp_path / "chain.csv"
    file.write_text(TABLE + "\n".join(rows.format(k=strike) for strike in (101, 105, 110)) + "\n")
    code, printed, _ = out("fit", file, "--ts", "2026-03-01T00:00:00", "--json")
    (smile,) = json.loads(printed)["smiles"]
    assert code == 0
    assert (smile["fit"]["state"], smile["fit"]["reasons"]) == (state, [reason])
    assert "params" not in smile


def test_fit_of_three_strikes_is_flagged(out, tmp_path):
    file = tmp_path / "chain.csv"
    file.write_text(TABLE + "2026-03-27,100,C,5,5.5,100\n2026-03-27,110,C,2,2.4,100\n2026-03-27,90,P,1.5,1.8,100\n")
    code, printed, _ = out("fit", file, "--ts", "2026-03-01", "--json")
    (smile,) = json.loads(printed)["smiles"]
    assert code == 0
    assert smile["fit"]["state"] == "fitted"
    assert "sparse: 3 quotes" in smile["fit"]["reasons"][0]
    assert smile["nodes"]["5P"]["is_extrapolated"]


def test_fit_of_a_bad_file_is_one_line_and_exit_2(out, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("expiry,strike,type,bid,ask\n2026-03-27,100,C,x,6\n")
    code, printed, complaint = out("fit", file, "--ts", "2026-03-01")
    assert (code, printed) == (2, b"")
    assert complaint.decode() == f"derivasys: {file}: row 1, column bid: 'x' is not a number\n"


def test_fit_of_several_currencies_asks_which(out, tmp_path):
    file = tmp_path / "two.csv"
    file.write_text(
        "ccy,expiry,strike,type,bid,ask,forward\nBTC,2026-03-27,100,C,5,6,100\nETH,2026-03-27,100,C,5,6,100\n"
    )
    code, _, complaint = out("fit", file, "--ts", "2026-03-01")
    assert code == 2
    assert b"holds BTC, ETH: choose one" in complaint
    assert out("fit", file, "--ts", "2026-03-01", "--ccy", "eth")[0] == 0


@pytest.mark.parametrize("file", CAPTURES, ids=lambda path: path.name)
def test_decode_reads_every_line_of_the_captures(out, file):
    code, printed, told = out("decode", "deribit", file)
    assert code == 0, told
    assert told.decode().endswith("rejected: none\n")
    lines = [json.loads(line) for line in printed.splitlines()]
    assert len(lines) > 400
    for line in lines:
        assert {"kind", "venue", "symbol", "ccy", "recv_ns"} <= line.keys()
        assert line["recv_ns"] > 16 * 10**17
        if line["kind"] == "quote":
            assert {
                "expiry",
                "strike",
                "type",
                "event_ns",
                "bid",
                "ask",
                "bid_size",
                "ask_size",
                "price_unit",
            } <= line.keys()
            assert line["bid"] is None or line["bid"] > 0


def test_decode_reports_bad_lines_with_number_and_reason(out, tmp_path):
    file = tmp_path / "x.ws"
    file.write_text('1617644856.9: {"jsonrpc":"2.0","id":0,"result":"ok"}\nrubbish\n\n{"method":"subscription"}\n')
    code, printed, told = out("decode", "deribit", file)
    assert (code, printed) == (1, b"")
    lines = told.decode().splitlines()
    assert lines[0].startswith("line 2: not_json:")
    assert lines[1].startswith("line 4: ")
    assert lines[2].startswith("3 messages, 0 events, rejected: 1 bad_shape, 1 not_json")


def test_decode_reads_standard_input_and_survives_a_closed_pipe():
    lines = CAPTURES[0].read_bytes()
    program = [sys.executable, "-m", "derivasys.cli", "decode", "deribit"]
    result = subprocess.run(program, input=lines, capture_output=True, check=False)
    assert result.returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(program, input=lines, stdout=writer, stderr=subprocess.PIPE, check=False)
    assert b"Traceback" not in result.stderr


def test_unknown_names_are_told_with_the_known_ones(capsys):
    assert run(capsys, "decode", "nyse")[0] == 2
    code, _, complaint = run(capsys, "decode", "nyse")
    assert "there are: binance, bybit" in complaint
    code, _, complaint = run(capsys, "bench", "nothing")
    assert (code, "no benchmark" in complaint) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--venue", "nyse"), "--venue nyse: not known"),
        (("--source", "replay", "--ccy", "DOGE"), "--ccy DOGE: no recording is shipped for it; there are: BTC, ETH"),
        (("--speed", "0"), "--speed 0 is not between"),
        (("--source", "live", "--speed", "2"), "--speed goes with"),
        (("--rate", "-1"), "--rate -1 is not between"),
        (("--port", "99999"), "--port 99999 is not a port"),
        (("--source", "replay", "--data", "/nonexistent"), "--data /nonexistent: no such folder"),
    ],
)
def test_up_refuses_what_cannot_be(capsys, arguments, says):
    code, _, complaint = run(capsys, "up", *arguments)
    assert code == 2
    assert says in complaint


def test_doctor_finds_this_checkout_sound(capsys):
    code, printed, _ = run(capsys, "doctor", "--port", "0")
    assert code == 0, printed
    assert "recording Deribit BTC 2026-03-13" in printed
    assert "fail" not in printed
