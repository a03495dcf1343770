"""Which curve between and beyond expiries is nearest to the smile that is really there? Recorded boards.

The middle one of three fitted expiries is left out and made up from its neighbours; the first and the last from the
next one. Errors in vol points, less the error at the money, at fixed numbers of standard deviations (about 5, 10 and
25 delta). Also: how many of the made-up curves have a proof against butterfly arbitrage.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

import _recorded as recorded
from derivasys.analytics.arbitrage import YES, certify
from derivasys.analytics.svi import total_variance
from derivasys.analytics.term import CONVEX, LINEAR, SLICE, WIDTH, fill_w, make_convex, place
from derivasys.analytics.term_proof import curve_butterfly
from derivasys.calibrate import Grid, Rules, calibrate

DEVIATIONS = {"5P": -1.645, "10P": -1.282, "25P": -0.674, "ATM": 0.0, "25C": 0.674, "10C": 1.282, "5C": 1.645}


def run() -> dict:
    errors, proofs = defaultdict(list), defaultdict(list)
    count = 0
    for board in recorded.boards():
        count += 1
        chain = board.chain()
        surface = calibrate(chain, Grid(chain), list(range(len(chain.expiries))), None, board.now_ns, Rules())
        live = np.flatnonzero(np.isfinite(surface.params).all(axis=1))
        tau, params = surface.tau[live], surface.params[live]
        for at in range(len(live)):
            rest = np.delete(np.arange(len(live)), at)
            where = "between" if 0 < at < len(live) - 1 else "before the first" if at == 0 else "after the last"
            for name, curve, kind in _candidates(tau[at], tau[rest], params[rest], where):
                errors[where, name].append(_error(params[at], tau[at], curve, kind))
                good = certify(curve[:5][None, :]).ok[0] if kind == SLICE else curve_butterfly(curve, kind) == YES
                proofs[where, name].append(bool(good))
    rows = []
    for (where, name), of in errors.items():
        table = np.array(of)
        table = table - table[:, [3]]
        rows.append(
            {
                "where": where,
                "curve": name,
                "cases": len(of),
                "proved": int(sum(proofs[where, name])),
                "bias": dict(zip(DEVIATIONS, np.median(table, axis=0).round(2).tolist(), strict=True)),
                "rms": dict(zip(DEVIATIONS, np.sqrt(np.mean(table**2, axis=0)).round(2).tolist(), strict=True)),
            }
        )
    return {"note": recorded.note(), "boards": count, "rows": rows}


def _candidates(target, tau, params, where):
    curve = np.zeros(WIDTH)
    _, left, _ = place(float(target), np.ascontiguousarray(tau), np.ascontiguousarray(params), curve)
    if where == "between":
        yield "linear total variance", curve, LINEAR
        convex = curve.copy()
        make_convex(convex)
        yield "convex price", convex, CONVEX
        return
    a, b, rho, m, sigma = params[left]
    c = target / tau[left]
    at_money = float(total_variance(0.0, a=a, b=b, rho=rho, m=m, sigma=sigma))
    for name, raw in (
        ("scaled w(k/√c)", (c * a, np.sqrt(c) * b, rho, np.sqrt(c) * m, np.sqrt(c) * sigma)),
        ("shifted", (a + (c - 1) * at_money, b, rho, m, sigma)),
        ("c·w at constant k", (c * a, c * b, rho, m, sigma)),
    ):
        other = np.zeros(WIDTH)
        other[:5] = raw
        yield name, other, SLICE


def _error(params, tau, curve, kind):
    a, b, rho, m, sigma = params
    k = np.array(list(DEVIATIONS.values())) * np.sqrt(total_variance(0.0, a=a, b=b, rho=rho, m=m, sigma=sigma))
    w = np.empty(len(k))
    fill_w(k, curve, kind, w)
    truth = total_variance(k, a=a, b=b, rho=rho, m=m, sigma=sigma)
    return 100 * (np.sqrt(np.maximum(w, 0.0) / tau) - np.sqrt(truth / tau))


def render(result: dict) -> str:
    names = [name for name in DEVIATIONS if name != "ATM"]
    titles = ("where", "curve", "proved", *(f"{name} bias / rms" for name in names))
    lines = [result["note"], "", "| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in result["rows"]:
        cells = (f"{row['bias'][name]:.2f} / {row['rms'][name]:.2f}" for name in names)
        proved = f"{row['proved']} of {row['cases']}"
        lines.append(f"| {row['where']} | {row['curve']} | {proved} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
