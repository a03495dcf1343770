"""`derivasys up` as a process: real sockets from the venue server to the client."""

import asyncio
import signal
import time

import msgspec
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from derivasys.wire import documents as d
from derivasys.wire import messages as m
from derivasys.wire.table import merge
from tests.service.conftest import Up

SERVER_MESSAGE = msgspec.json.Decoder(m.ServerMessage)


def surface(up: Up, ccy: str) -> d.SurfaceDocument:
    body = msgspec.json.decode(up.get(f"/surface/latest?ccy={ccy}").content, type=d.SurfaceDocument)
    return body if body.smiles and all(smile.fit.state == "fitted" for smile in body.smiles) else None


def wait_for_surfaces(up: Up) -> None:
    for ccy in ("BTC", "ETH"):
        up.until(lambda ccy=ccy: up.get(f"/surface/latest?ccy={ccy}").status_code == 200 and surface(up, ccy))


@pytest.fixture
def up(replayed: Up) -> Up:
    wait_for_surfaces(replayed)
    return replayed


def test_both_recorded_boards_are_fitted(up):
    assert len(surface(up, "BTC").smiles) == 12
    assert len(surface(up, "ETH").smiles) == 11


def test_the_replayed_surface_is_the_recorded_one(up):
    """What came through sockets, chain and cycles is what `fit` makes of the file."""
    import derivasys as dv
    from tests.boards import BTC_SUMMARY

    whole = dv.fit(BTC_SUMMARY)
    for at, smile in enumerate(surface(up, "BTC").smiles):
        assert smile.expiry == whole.expiries[at]
        assert smile.atm_vol == pytest.approx(100 * float(whole.delta_nodes.vol[at, 8]), abs=0.4), "the clock runs on"


def test_it_says_that_it_is_a_replay(up):
    status = up.until(lambda: msgspec.json.decode(up.get("/status").content, type=m.StatusMessage))
    assert status.source.kind == "replay"
    assert "2026-03-13" in status.source.label
    assert status.source.recorded["BTC"] // 1000 == 1773428416
    assert surface(up, "BTC").source == "replay"


def test_it_becomes_ready_and_measures_itself(up):
    up.until(lambda: up.get("/readyz").status_code == 200)
    live = 'derivasys_feed_state{state="live",venue="deribit"} 1.0'
    text = up.until(lambda: live in (text := up.get("/metrics").text) and text)  # set once a second
    assert 'derivasys_expiries{ccy="BTC",state="fitted"} 12.0' in text


async def test_a_client_that_says_nothing_follows_the_whole_stream(up):
    held: dict[str, dict] = {}
    async with connect(up.ws + "?ccy=BTC", max_size=None) as client:
        async with asyncio.timeout(30):
            while sum(state["seq"] for state in held.values()) - len(held) < 25:
                text = await client.recv()
                SERVER_MESSAGE.decode(text)
                message = orjson.loads(text)
                if message["type"] == "status":
                    continue
                channel = message["type"].removesuffix("_snapshot").removesuffix("_patch")
                if channel not in held or message["type"].endswith(("_snapshot", "_status")):
                    assert not message["type"].endswith("_patch"), "a snapshot comes first"
                    message["seq_start"] = held.get(channel, message).get("seq_start", message["seq"])
                    if channel in held:
                        assert message["seq"] == held[channel]["seq"] + 1
                    held[channel] = message
                else:
                    assert message["seq"] == held[channel]["seq"] + 1
                    assert message["epoch"] == held[channel]["epoch"]
                    held[channel] = merge(held[channel], message)
                if sum(state["seq"] - state["seq_start"] for state in held.values()) >= 25:
                    break
        for name, channel in (
            ("svi_surface", "surface"),
            ("smile_levels", "levels"),
            ("svi_tenor", "tenors"),
            ("svi_through", "through"),
        ):
            await client.send(orjson.dumps({"type": "resync", "channel": channel, "ccy": "BTC"}).decode())
            async with asyncio.timeout(30):
                while True:
                    message = orjson.loads(await client.recv())
                    kind = message["type"].removesuffix("_patch")
                    if kind in held and message["type"].endswith("_patch"):
                        held[kind] = merge(held[kind], message)
                    if message["type"] == f"{name}_snapshot":
                        break
            assert message["seq"] == held[name]["seq"]
            branch = {"surface": "smiles", "levels": "levels", "tenors": "tenors", "through": "cells"}[channel]
            assert message[branch] == held[name][branch]


async def test_requests_over_the_socket(up):
    async with connect(up.ws, max_size=None) as client, asyncio.timeout(30):
        await client.send('{"type":"ping","id":3}')
        await client.send('{"type":"select_currency","ccy":"ETH"}')
        await client.send('{"type":"select_currency","ccy":"DOGE"}')
        seen: dict[str, dict] = {}
        while not {"pong", "error"} <= seen.keys() or seen.get("svi_surface_snapshot", {}).get("ccy") != "ETH":
            message = orjson.loads(await client.recv())
            seen[message["type"]] = message
        assert seen["pong"]["id"] == 3
        assert (seen["error"]["code"], seen["error"]["path"]) == ("unknown_ccy", "$.ccy")
        await client.send("nonsense")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await client.recv()
        assert closed.value.rcvd.code == 1007


async def test_sigterm_tells_clients_to_come_back_and_ends_at_once():
    up = Up("--source", "replay", "--ccy", "ETH")
    up.until(lambda: up.get("/surface/latest?ccy=ETH").status_code == 200)
    async with connect(up.ws, max_size=None) as client:
        await client.recv()
        started = time.monotonic()
        up.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await client.recv()
        assert closed.value.rcvd.code == 1012
    assert up.stop() == 0
    assert time.monotonic() - started < 10
    assert "Traceback" not in "".join(up.output)


def test_a_simulated_market_moves_and_is_labelled():
    up = Up("--source", "simulated", "--ccy", "BTC", "--seed", "7")
    try:
        # Venues are found one after the other; all twelve dates are listed by one of them.
        def whole() -> d.SurfaceDocument | None:
            found = surface(up, "BTC") if up.get("/surface/latest?ccy=BTC").status_code == 200 else None
            return found if found is not None and len(found.smiles) == 12 else None

        first = up.until(whole)
        assert first.source == "simulated"
        later = up.until(lambda: (now := surface(up, "BTC")) and now.version > first.version + 40 and now)
        moved = [a.atm_vol != b.atm_vol for a, b in zip(first.smiles, later.smiles, strict=True)]
        assert sum(moved) >= 6
        assert [a.forward.price for a in first.smiles] != [b.forward.price for b in later.smiles]
    finally:
        up.stop()


def test_a_taken_port_is_one_clear_line(up):
    import subprocess
    import sys

    command = [sys.executable, "-m", "derivasys.cli", "up", "--source", "replay", "--port", str(up.port)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert (
        result.stderr
        == f"derivasys: cannot listen on 127.0.0.1:{up.port} (Address already in use); choose another --port\n"
    )
