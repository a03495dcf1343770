"""Gateways hold nothing that another cannot rebuild (docs/services.md, 3)."""

import orjson
from websockets.sync.client import connect

from derivasys.bus.records import header
from derivasys.bus.topics import PATCHES, QUOTES
from derivasys.testing.fleet import until
from derivasys.testing.kafka.market import Market
from tests.kafka.conftest import PARTITIONS, read_topic
from tests.kafka.services import Watch, calibrator, running
from tests.kafka.services import until as meanwhile

CCYS = ("BTC", "ETH", "SOL")
DOCUMENTS = ("/surface/latest", "/smiles/latest", "/tenors/latest", "/diagnostics/latest")


def documents(gateway):
    return {(ccy, path): orjson.loads(gateway.get(f"{path}?ccy={ccy}").content) for ccy in CCYS for path in DOCUMENTS}


def snapshots(gateway, ccy):
    """Return what a client that says nothing is shown first, by type."""
    found = {}
    with connect(gateway.url.replace("http", "ws") + f"ws?ccy={ccy}", max_size=None) as client:
        while len(found) < 4:
            message = orjson.loads(client.recv(30))
            if message["type"].endswith(("_snapshot", "_fit_status")):
                found[message["type"]] = message
    return found


async def test_gateways_start_with_everything_while_nobody_else_lives(clients, fleet):
    watch = Watch(clients)
    with Market(clients, CCYS, PARTITIONS):
        async with running(calibrator(clients)):
            await meanwhile(lambda: all(watch.version(ccy) > 12 for ccy in CCYS))
    await meanwhile(lambda: watch.take().lag() and not any(watch.take().lag().values()))
    watch.take()

    gateways = [fleet.start("gateway", name=f"gateway {at}") for at in (1, 2)]
    for gateway in gateways:
        gateway.await_start()
        until(lambda gateway=gateway: set(orjson.loads(gateway.get("/status").content)["available_ccys"]) == set(CCYS))
    first, second = (documents(gateway) for gateway in gateways)
    assert first == second
    for ccy in CCYS:
        held = watch.follower.held[ccy]
        assert first[ccy, "/surface/latest"]["version"] == held.stamp.version
        assert len(first[ccy, "/surface/latest"]["smiles"]) == 3
    watch.close()

    # A client that changes over is shown the same.
    assert snapshots(gateways[0], "ETH") == snapshots(gateways[1], "ETH")
    # Restarted, a gateway serves what it served.
    gateways[0].stop()
    again = fleet.start("gateway").await_start()
    until(lambda: set(orjson.loads(again.get("/status").content)["available_ccys"]) == set(CCYS))
    assert documents(again) == first
    reasons = orjson.loads(again.get("/readyz").content)["reasons"]
    assert "no connector is heard" in reasons, "a state without feeds is served, but not called ready"


async def test_a_slow_consumer_ends_at_the_present(clients):
    quick, slow = Watch(clients), Watch(clients)
    with Market(clients, CCYS, PARTITIONS):
        service = calibrator(clients)
        async with running(service):
            await meanwhile(lambda: slow.version("BTC"))
            at_rest = slow.follower.held["BTC"].stamp.version
            await meanwhile(lambda: quick.version("BTC") > at_rest + 20)
            assert slow.follower.held["BTC"].stamp.version == at_rest
            assert service.gauges.text()
    await meanwhile(lambda: (quick.take(), slow.take()) and not any(slow.follower.lag().values()))
    quick.take()
    slow.take()
    for ccy in CCYS:
        one, two = quick.follower.held[ccy], slow.follower.held[ccy]
        assert one.stamp == two.stamp
        assert one.state.tables["levels"].tree() == two.state.tables["levels"].tree()
        assert one.state.fit == two.state.fit
    assert slow.follower.gaps == quick.follower.gaps == 0
    quick.close()
    slow.close()


async def test_a_trace_goes_from_quote_to_surface(clients):
    watch = Watch(clients)
    with Market(clients, ("BTC",), PARTITIONS):
        service = calibrator(clients)
        async with running(service):
            await meanwhile(lambda: watch.version("BTC") > 15 and b"bus_lag" in service.gauges.text())
            text = service.gauges.text().decode()
    watch.close()
    asked = {header(message, "traceparent").split(b"-")[1] for message in read_topic(clients, QUOTES)}
    answered = [header(message, "traceparent").split(b"-") for message in read_topic(clients, PATCHES)]
    assert len(answered) > 10
    assert {parts[1] for parts in answered} <= asked, "a surface goes on with the trace of its newest quote"
    assert len({parts[2] for parts in answered}) == len(answered), "in a span of its own"
    told = ("calibration_rmse_vol_points", "uncertified_expiries", "snapshot_age_seconds", "topic_lag", "queue_depth")
    for name in ("bus_lag", "bus_queue", "rebalances", "cycle_saturation", "partitions", "fenced", *told):
        assert f"\nderivasys_{name}{{" in text, name
    for stage in ("bus_quotes", "calibrate", "quote_to_surface"):
        assert f'derivasys_latency_ms{{service="calibrator",stage="{stage}",quantile="0.99"}}' in text
    span = service.gauges.traces[-1]
    assert span["trace_id"].encode() in asked
    assert span["recv_ns"] <= span["taken_ns"]
