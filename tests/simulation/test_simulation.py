"""Seeded runs of connectors and pipeline over failing wires. `make sim SEED=n` runs one and prints what happened."""

import pytest

from derivasys.testing.simulation import Kind, Simulation

SEEDS = range(6)
PINNED = (
    0,  # bytes that are no UTF-8 in a control frame ended the connection by an unexpected exception
)


@pytest.mark.parametrize("seed", sorted({*SEEDS, *PINNED}))
def test_a_run_recovers(seed):
    report = Simulation(seed, venues=["deribit"]).run()
    assert report.cycles > 40
    lost = {"corrupted", "dropped", "swallowed"} & report.counts.keys()
    if "corrupted" in lost:
        assert sum(count for name, count in report.counts.items() if name.startswith("reject")) > 0


def test_the_same_seed_is_the_same_run():
    first, second = (Simulation(4, venues=["deribit"]).run() for _ in range(2))
    assert first == second


def test_every_kind_of_fault_comes_up():
    kinds = {fault.kind for seed in range(60) for fault in Simulation(seed, venues=["deribit"]).faults}
    assert kinds == set(Kind)
