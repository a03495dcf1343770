"""How long clients wait: a calibrator killed, a gateway restarted. Real processes, a real Kafka of one node."""

from __future__ import annotations

import signal
import time

import httpx

from _kafka import installation, kafka, wait
from derivasys.bus.topics import SESSION_MS
from derivasys.testing.fleet import Fleet, publisher
from derivasys.testing.kafka.market import LARGE, Market

ROUNDS = 3
CCYS = ("BTC", "ETH", "SOL", "XRP")
PARTITIONS = 4


def epoch_of(gateway, ccy):
    try:
        body = gateway.get(f"/surface/latest?ccy={ccy}")
    except httpx.HTTPError:
        return None
    if body.status_code != 200:
        return None
    document = body.json()
    certified = all(
        smile["certificate"]["butterfly"] == smile["certificate"]["calendar"] == "certified"
        for smile in document["smiles"]
    )
    return (int(document["epoch"], 16), document["version"]) if certified and document["smiles"] else None


def is_shared(calibrators):
    return all(each.metric("partitions") == PARTITIONS / len(calibrators) for each in calibrators)


def kill_owner(fleet, gateway, calibrators):
    """Return seconds from kill −9 to the first certified surface of a new epoch at the gateway."""
    holder = publisher(calibrators, "BTC")
    before = wait(lambda: epoch_of(gateway, "BTC"))
    holder.process.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    after = wait(lambda: (now := epoch_of(gateway, "BTC")) and now[0] > before[0] and now)
    took = time.monotonic() - killed
    assert after[1] > before[1]
    holder.stop()
    calibrators.remove(holder)
    fleet.processes.remove(holder)
    calibrators.append(fleet.start("calibrator").await_start())
    wait(lambda: is_shared(calibrators))
    return took


def restart_gateway(fleet):
    """Return seconds from the start of the process to the full state of all currencies."""
    started = time.monotonic()
    gateway = fleet.start("gateway")
    wait(lambda: gateway.url)
    listening = time.monotonic() - started
    wait(lambda: all(epoch_of(gateway, ccy) for ccy in CCYS))
    took = time.monotonic() - started
    gateway.stop()
    fleet.processes.remove(gateway)
    return took, listening


def run():
    with kafka() as bootstrap:
        clients = installation(bootstrap, PARTITIONS)
        with (
            Market(clients, CCYS, PARTITIONS, shape=LARGE, share=0.05),
            Fleet(bootstrap, clients.settings.prefix) as fleet,
        ):
            gateway = fleet.start("gateway")
            calibrators = [fleet.start("calibrator") for _ in range(2)]
            for each in (gateway, *calibrators):
                each.await_start()
            wait(lambda: all(epoch_of(gateway, ccy) for ccy in CCYS))
            wait(lambda: is_shared(calibrators))
            killed = [kill_owner(fleet, gateway, calibrators) for _ in range(ROUNDS)]
            restarted = [restart_gateway(fleet) for _ in range(ROUNDS)]
    return {
        "session_ms": SESSION_MS,
        "killed_s": [round(each, 2) for each in killed],
        "restarted_s": [round(each, 2) for each, _ in restarted],
        "listening_s": [round(each, 2) for _, each in restarted],
    }


def render(result):
    def row(name, values):
        return f"| {name} | {sorted(values)[len(values) // 2]:.2f} | {max(values):.2f} |"

    return "\n".join([
        "| | median s | worst s |", "|---|---|---|",
        row(f"kill −9 of a calibrator → certified surface of the new epoch (session timeout {result['session_ms'] / 1000:g} s included)", result["killed_s"]),
        row("start of a gateway's process → full state of all currencies", result["restarted_s"]),
        row("… of which until it listens (imports)", result["listening_s"]),
    ])  # fmt: skip
