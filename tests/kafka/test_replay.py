"""The raw log again: through another fitter into topics of its own, and to a recording (docs/services.md, 5)."""

import json
import time

import pytest

from derivasys.bus import records
from derivasys.bus.clients import Clients
from derivasys.bus.settings import BusSettings
from derivasys.bus.topics import PATCHES
from derivasys.cli import main
from derivasys.clock import SystemClock
from derivasys.connect.session import Endpoint
from derivasys.record.segments import Kind, read
from derivasys.services.connector import ConnectorOptions, ConnectorService
from derivasys.services.recorder import RecorderService
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS
from derivasys.wire.messages import SourceStatus
from tests.kafka.conftest import PARTITIONS, read_topic
from tests.kafka.services import Watch, calibrator, running, until


@pytest.fixture
async def recorded(clients, tmp_path):
    """A few seconds of a connector, a calibrator and a recorder; return when it was."""
    clock = SystemClock()
    world = World([load_shipped("BTC")], seed=5, start_ns=clock.now_ns())
    server = SERVERS["deribit"](world, clock, ("BTC",), 300.0)
    await server.start()
    address = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
    source = SourceStatus(kind="simulated", label="test")
    options = ConnectorOptions(venue="deribit", ccys=("BTC",), endpoint=address, partitions=PARTITIONS, source=source)
    connector, recorder = ConnectorService(clients, options, clock), RecorderService(clients, tmp_path / "recording")
    watch = Watch(clients)
    async with running(recorder, connector, calibrator(clients)):
        await until(lambda: watch.version("BTC") > 20)
        from_ms = time.time_ns() // 1_000_000
        await until(lambda: time.time_ns() // 1_000_000 > from_ms + 3000 and watch.version("BTC") > 40)
        to_ms = time.time_ns() // 1_000_000
        await until(lambda: recorder.caught_up)
    watch.close()
    await server.stop()
    return from_ms, to_ms, tmp_path / "recording"


def command(clients, capsys, *arguments):
    bus = ("--bootstrap", clients.settings.bootstrap, "--prefix", clients.settings.prefix)
    code = main([*arguments[:1], *bus, *arguments[1:]])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out


async def test_what_another_fitter_would_have_said(clients, recorded, capsys, tmp_path):
    from_ms, to_ms, _ = recorded
    span = ("--from", str(from_ms), "--to", str(to_ms))
    same, other = clients.settings.prefix + "same.", clients.settings.prefix + "other."
    assert "surfaces in" in command(clients, capsys, "reprocess", *span, "--into", same)
    rules = tmp_path / "rules.json"
    rules.write_text('{"nodes": {"delta": "premium_adjusted"}}')
    command(clients, capsys, "reprocess", *span, "--into", other, "--rules", str(rules))

    by_same = json.loads(command(clients, capsys, "compare", *span, "--other", same, "--json"))[0]
    by_other = json.loads(command(clients, capsys, "compare", *span, "--other", other, "--json"))[0]
    for told in (by_same, by_other):
        assert told["ccy"] == "BTC"
        assert told["moments"] >= 3
        assert told["missing"] == 0
        assert told["certified"][0] == told["certified"][1] == told["expiries"]
    assert by_same["builds"][0] != by_other["builds"][1]
    # The same fitter says the same, but for cycles at other instants; the other convention moves the wings alone.
    same_is, other_is = by_same["differences"], by_other["differences"]
    assert same_is["atm_vol"]["p50"] < 0.05
    assert same_is["rr25"]["p50"] < 0.05
    assert other_is["rr25"]["p50"] > 5 * same_is["rr25"]["p50"]
    assert other_is["atm_vol"]["p50"] < 0.05
    text = command(clients, capsys, "compare", *span, "--other", other, "--atm-p99-max", "5")
    assert "BTC: " in text
    assert "|Δ rr25|: mean" in text

    # Its surfaces stand in topics of their own, made by another build, and the published ones are untouched.
    into = Clients(BusSettings(bootstrap=clients.settings.bootstrap, prefix=other), "test")
    builds = {records.header(message, records.BUILD_HEADER) for message in read_topic(into, PATCHES)}
    assert len(builds) == 1
    assert builds.isdisjoint(
        {records.header(message, records.BUILD_HEADER) for message in read_topic(clients, PATCHES)}
    )


async def test_the_recording_holds_what_the_log_holds(clients, recorded):
    *_, folder = recorded
    frames = [(at.recv_ns, at.payload) for at in read(folder) if at.kind in (Kind.RECEIVED, Kind.LISTING)]
    logged = []
    for message in read_topic(clients, "raw.deribit"):
        about = records.about(message)
        if about.kind in (Kind.RECEIVED, Kind.LISTING):
            logged.append((about.recv_ns, message.value()))
    assert len(frames) > 500
    assert frames == logged[: len(frames)]


def test_times_that_cannot_be(clients, capsys):
    bus = ["--bootstrap", clients.settings.bootstrap, "--prefix", clients.settings.prefix]
    for arguments, told in (
        (
            ["reprocess", *bus, "--from", "1700000000000", "--to", "1700000001000", "--into", "x."],
            "no frame of that time",
        ),
        (["compare", *bus, "--from", "1700000001000", "--to", "1700000000000", "--other", "x."], "is not before"),
        (
            ["compare", *bus, "--from", "1700000000000", "--to", "1700000001000", "--other", "nowhere."],
            "topic nowhere.patches is not there",
        ),
        (
            ["compare", *bus, "--from", "1700000000000", "--to", "1700000001000", "--other", clients.settings.prefix],
            "that of the topics themselves",
        ),
        (["compare", *bus, "--from", "noon", "--to", "1700000001000", "--other", "x."], "--from"),
    ):
        assert main(arguments) == 2
        assert told in capsys.readouterr().err
