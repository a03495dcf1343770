"""Frames that a venue's connector receives, from the local venue, without sockets."""

from __future__ import annotations

from derivasys.decode import Decoder
from derivasys.testing.simulation import STEP_NS, Simulation

FIRST_S = 3.0
"""Listings and first snapshots; not kept."""


def frames(
    venue: str, ccys: tuple[str, ...] = ("BTC", "ETH"), seconds: float = 5.0, rate: float = 2000.0
) -> tuple[Decoder, list[bytes]]:
    """Return what one seeded session of a venue receives, and a decoder that has seen its listings."""
    simulation = Simulation(1, venues=[venue], ccys=ccys, rate=rate)
    simulation.faults = ()
    kept: list[bytes] = []
    push = simulation.pipeline.push

    def keep(name: str, payload: bytes, recv_ns: int) -> None:
        if recv_ns > since_ns:
            kept.append(payload)
        push(name, payload, recv_ns)

    since_ns = simulation.clock.now_ns() + int(FIRST_S * 1e9)
    simulation.pipeline.push = keep
    for _ in range(int((seconds + FIRST_S) * 1e9 / STEP_NS)):
        now_ns = simulation.clock.advance(STEP_NS)
        simulation.servers[venue]._venue.tick(now_ns)
        for line in simulation.lines:
            line.step(now_ns)
    return simulation.pipeline._decoders[venue], kept
