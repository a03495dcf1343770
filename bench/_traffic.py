"""A recording of four venues' simulated traffic, made on a virtual clock as fast as the local venues can speak."""

from __future__ import annotations

from pathlib import Path

from derivasys.record.recorder import Recorder
from derivasys.record.segments import Kind
from derivasys.testing.simulation import Simulation

VENUES = ("deribit", "okx", "bybit", "binance")
CCYS = ("BTC", "ETH", "SOL", "XRP")
STEP_NS = 50_000_000


def record_traffic(folder: Path, seconds: float, rate: float, ccys: tuple[str, ...] = CCYS) -> Recorder:
    """Record what connectors to the whole listings of four venues receive; `rate` option tickers a second over all."""
    simulation = Simulation(1, VENUES, ccys, rate / len(VENUES), faults=(), is_whole=True)
    simulation.lines = [line for line in simulation.lines if not line.is_book]
    recorder = Recorder(folder)
    clock, fetch = simulation.clock, simulation.http
    numbers = {venue: recorder.open(clock.now_ns(), venue, 0, ccys) for venue in VENUES}

    def listing(name, server, path, query, now_ns):
        status, body, headers = fetch(name, server, path, query, now_ns)
        recorder.add(now_ns, numbers[name], Kind.LISTING, body)
        return status, body, headers

    def frame(line, payload, now_ns, *, is_corrupt):
        recorder.add(now_ns, numbers[line.venue], Kind.RECEIVED, payload)
        return ()

    simulation.http, simulation.receive = listing, frame
    for _ in range(int(seconds * 1e9 / STEP_NS)):
        simulation.step(STEP_NS)
        recorder.tick(clock.now_ns() / 1e9)
    recorder.close()
    return recorder
