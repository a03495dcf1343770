"""Connectors and pipeline against all local venues over wires that fail, on a virtual clock: no sockets, no sleeps.

    report = Simulation(seed=7).run()

A seed chooses which faults come when (`faults`). What messages go through is in `wires`, what venues do in
`venue_side`, and what must hold all the time, and again soon after the last fault, in `checks`.
"""

from derivasys.testing.simulation.checks import Broken
from derivasys.testing.simulation.faults import Fault, Kind
from derivasys.testing.simulation.run import Report, Simulation

__all__ = ["Broken", "Fault", "Kind", "Report", "Simulation"]
