"""`python -m derivasys.testing.simulation SEED|FIRST:LAST [VENUE…]`: run seeds and tell of each."""

from __future__ import annotations

import sys
import time
from collections import Counter

from derivasys.testing.simulation import Broken, Simulation


def main(arguments: list[str]) -> int:
    """Run seeds over the venues named after them, or all; return 1 when any broke."""
    chosen, venues = arguments[0] if arguments else "1", arguments[1:]
    first, _, last = chosen.partition(":")
    broken: list[int] = []
    kinds: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    started_s = time.process_time()
    seeds = range(int(first), int(last or first) + 1)
    for seed in seeds:
        try:
            report = Simulation(seed, venues).run()
        except Broken as why:
            broken.append(seed)
            print(f"seed {seed}: BROKEN: {why}", flush=True)
            continue
        except Exception as why:  # noqa: BLE001 - a crash is a finding, and the other seeds have theirs
            broken.append(seed)
            print(f"seed {seed}: CRASHED: {type(why).__name__}: {why}", flush=True)
            continue
        kinds.update(str(fault.kind) for fault in report.faults)
        counts.update(report.counts)
        told = ", ".join(map(str, report.faults))
        print(
            f"seed {seed}: {report.ccys[0]}: {told}; back after {report.recovered_s:.1f} s; {report.counts}", flush=True
        )
    spent_s = time.process_time() - started_s
    print(f"{len(seeds) - len(broken)} of {len(seeds)} seeds held; {spent_s / len(seeds):.2f} s of CPU each")
    print(f"faults: {dict(sorted(kinds.items()))}")
    print(f"what happened: {dict(sorted(counts.items()))}")
    if broken:
        print(f"broken: {broken}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
