"""One file of curves for both languages: Python computes it, TypeScript must agree to 1e-12 (clients/typescript/test).

`python -m tests.golden.numerics.test_shared_curves` writes it anew; the test fails when it is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import derivasys as dv
from derivasys.analytics import svi
from derivasys.analytics.deltas import delta_at, delta_nodes

ROOT = Path(__file__).parents[3]
FILE = ROOT / "clients" / "typescript" / "test" / "fixtures" / "curves.json"
CHAIN = ROOT / "fixtures" / "deribit" / "chains" / "deribit-btc-2026-03-13.book-summary.json"
NAMES = ("a", "b", "rho", "m", "sigma")
VOGT = (-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
"""Gatheral and Jacquier 2014, section 5.1: its density is negative where g is."""
DEVIATIONS = np.linspace(-8.0, 8.0, 33)
TARGETS = np.array([0.05, 0.1, 0.25, 0.4])


def fitted() -> list[tuple[float, tuple[float, ...]]]:
    """Return (tau, parameters): every expiry of the shipped chain as fitted now, and Vogt's slice."""
    surface = dv.fit(CHAIN)
    return [*zip(surface.tau.tolist(), map(tuple, surface.params.tolist()), strict=True), (1.0, VOGT)]


def kept() -> list[tuple[float, tuple[float, ...]]]:
    """Return the slices of the file: a better fit does not make the arithmetic out of date."""
    return [(known["tau"], tuple(known["params"][name] for name in NAMES)) for known in json.loads(FILE.read_text())]


def curve(tau: float, params: tuple[float, ...]) -> dict[str, Any]:
    named = dict(zip(NAMES, params, strict=True))
    k = DEVIATIONS * np.sqrt(float(svi.total_variance(0.0, **named)))
    w, w1, w2 = svi.derivatives(k, **named)
    row = np.array(params)
    puts, calls = (delta_nodes(row, tau, TARGETS, [is_call] * len(TARGETS)).k[0] for is_call in (False, True))
    return {
        "tau": tau,
        "params": named,
        "k": k.tolist(),
        "w": w.tolist(),
        "w1": w1.tolist(),
        "w2": w2.tolist(),
        "vol": (100.0 * np.sqrt(w / tau)).tolist(),
        "g": svi.g(k, **named).tolist(),
        "density": svi.density(k, **named).tolist(),
        "forward_delta_call": [delta_at(x, row, True, False) for x in k],
        "forward_delta_put": [delta_at(x, row, False, False) for x in k],
        "premium_adjusted_delta_call": [delta_at(x, row, True, True) for x in k],
        "premium_adjusted_delta_put": [delta_at(x, row, False, True) for x in k],
        "targets": TARGETS.tolist(),
        "k_put": puts.tolist(),
        "k_call": calls.tolist(),
    }


def test_the_shared_file_is_what_python_computes():
    file = json.loads(FILE.read_text())
    assert len(file) > 10
    for known, fresh in zip(file, (curve(*one) for one in kept()), strict=True):
        assert known.keys() == fresh.keys()
        for name, values in fresh.items():
            if name != "params":
                np.testing.assert_allclose(known[name], values, rtol=1e-12, atol=1e-15, err_msg=name)


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps([curve(*one) for one in fitted()]) + "\n")
