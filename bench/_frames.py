"""Frames that a venue's connector receives, from the local venue, without sockets."""

from __future__ import annotations

from collections.abc import Sequence

from derivasys.decode import Decoder
from derivasys.testing.simulation import Simulation

FIRST_S = 3.0
"""Listings and first snapshots; not kept."""
STEP_NS = 50_000_000


def frames(
    venue: str, ccys: tuple[str, ...] = ("BTC", "ETH"), seconds: float = 5.0, rate: float = 2000.0
) -> tuple[Decoder, list[bytes]]:
    """Return what one seeded session of a venue receives, and a decoder that has seen its listings."""
    simulation = Simulation(1, [venue], ccys, rate, faults=(), is_whole=True)
    simulation.lines = [line for line in simulation.lines if not line.is_book]
    kept: list[bytes] = []
    push = simulation.pipeline.push

    def keep(name: str, payload: bytes, recv_ns: int) -> Sequence[str]:
        if recv_ns > since_ns:
            kept.append(payload)
        return push(name, payload, recv_ns)

    since_ns = simulation.clock.now_ns() + int(FIRST_S * 1e9)
    simulation.pipeline.push = keep
    for _ in range(int((seconds + FIRST_S) * 1e9 / STEP_NS)):
        simulation.step(STEP_NS)
    return simulation.pipeline._decoders[venue], kept
