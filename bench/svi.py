"""Free SVI fits: time and quality on 500 made-up slices, dense and sparse, peers in the same run.

The slices are SSVI-like smiles with kinks, quoted one to three vol points wide, with noise inside the spread and 5 % stale
outliers. Quality: the weighted robust cost against the best found by any method, scipy with several starts included.
Peers come from a virtual environment of their own (`scripts/peers.sh`).
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
ROUNDS = 7
Slice = dict[str, np.ndarray]


def run() -> dict:
    """Return times and quality of each implementation; in the peers' interpreter when there is one."""
    if PEERS.exists() and Path(sys.prefix).resolve() != PEERS.parents[1].resolve():
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(PEERS), __file__], capture_output=True, text=True, check=True, env=environment, cwd=ROOT
        )
        return json.loads(done.stdout)
    return measure()


def slices(kind: str, count: int, seed: int) -> list[Slice]:
    """Return made-up slices: `dense` of 60 quotes, `sparse` of 6 to 12."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        size = 60 if kind == "dense" else int(rng.integers(6, 13))
        tau = float(10 ** rng.uniform(-2.5, 0.2))
        w_atm = float(rng.uniform(0.3, 1.1) ** 2 * tau)
        rho, phi = rng.uniform(-0.6, 0.4), rng.uniform(0.6, 1.6) / w_atm**0.5
        k = np.sort(rng.uniform(-2.5, 2.2, size)) * w_atm**0.5
        w = 0.5 * w_atm * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho * rho))
        spread = rng.uniform(0.01, 0.03) * (1 + np.abs(k) / w_atm**0.5)
        iv = np.sqrt(w / tau) + 0.5 * spread * rng.uniform(-1, 1, size)
        stale = rng.uniform(size=size) < 0.05
        iv = np.where(stale, iv * rng.uniform(0.8, 1.3, size), iv)
        out.append(
            {
                "k": k, "w": iv * iv * tau, "weight": (2 * iv * tau * spread) ** -2.0, "tau": np.array([tau]),
                "w_bid": (iv - spread / 2) ** 2 * tau, "w_ask": (iv + spread / 2) ** 2 * tau,
            }
        )  # fmt: skip
    return out


def cost(s: Slice, raw: np.ndarray) -> float:
    """Return the weighted pseudo-Huber cost of raw parameters."""
    a, b, rho, m, sigma = raw
    y = s["k"] - m
    z = s["weight"] * (a + b * (rho * y + np.hypot(y, sigma)) - s["w"]) ** 2
    return float((np.sqrt(1 + z) - 1).sum())


def reference(s: Slice, starts: list[np.ndarray]) -> float:
    """Return the least cost scipy's trust-region method finds from several starts."""
    least_squares = importlib.import_module("scipy.optimize").least_squares

    def residual(x: np.ndarray) -> np.ndarray:
        y = s["k"] - x[3]
        z = s["weight"] * (x[0] + x[1] * (x[2] * y + np.hypot(y, x[4])) - s["w"]) ** 2
        return np.sqrt(2 * (np.sqrt(1 + z) - 1))

    scale = float(np.sqrt(np.average(s["w"], weights=s["weight"])))
    low = [-np.inf, 0.0, -1.0, min(s["k"][0], 0.0) - scale, 0.01 * scale]
    reach = max(scale, 0.5 * (max(s["k"][-1], 0.0) - min(s["k"][0], 0.0)))
    high = [np.inf, 2.0, 1.0, max(s["k"][-1], 0.0) + scale, 4.0 * reach]
    best = np.inf
    for start in starts:
        inside = np.clip(start, np.array(low) + 1e-9, np.array(high) - 1e-9)
        found = least_squares(residual, inside, bounds=(low, high), max_nfev=400, x_scale=np.abs(inside) + 1e-3)
        lee = found.x[1] * (1 + abs(found.x[2])) <= 2.0
        positive = found.x[0] + found.x[1] * found.x[4] * np.sqrt(1 - found.x[2] ** 2) >= 0.0
        if lee and positive:
            best = min(best, cost(s, found.x))
    return best


def _fit_one(s: Slice, start: np.ndarray | None) -> np.ndarray:
    fit_smiles = importlib.import_module("derivasys.fit.smile").fit_smiles
    offsets = np.array([0, s["k"].size])
    return fit_smiles(offsets, s["k"], s["w"], s["weight"], s["w_bid"], s["w_ask"], s["tau"], start).params


def _board(group: list[Slice]) -> tuple[np.ndarray, ...]:
    offsets = np.concatenate(([0], np.cumsum([s["k"].size for s in group])))
    return offsets, *(
        np.concatenate([s[name] for s in group]) for name in ("k", "w", "weight", "w_bid", "w_ask", "tau")
    )


def _ours(group: list[Slice]) -> dict:
    """Return times per slice, in boards of 12 as the service fits them, cold and warm (quotes moved by 5 % of a spread)."""
    fit_smiles = importlib.import_module("derivasys.fit.smile").fit_smiles
    rng = np.random.default_rng(5)
    boards = [_board(group[i : i + 12]) for i in range(0, len(group) - 11, 12)]
    cold, warm = [], []
    for _ in range(ROUNDS):
        for board in boards:
            begin = time.perf_counter_ns()
            fit = fit_smiles(*board)
            cold.append((time.perf_counter_ns() - begin) / 12e3)
            offsets, k, w, weight, *rest = board
            moved = w + 0.05 * rng.uniform(-1, 1, w.size) / np.sqrt(weight)
            begin = time.perf_counter_ns()
            fit_smiles(offsets, k, moved, weight, *rest, fit.start)
            warm.append((time.perf_counter_ns() - begin) / 12e3)
    return {
        "us_cold_median": float(np.median(cold)), "us_cold_p99": float(np.percentile(cold, 99)),
        "us_warm_median": float(np.median(warm)), "us_warm_p99": float(np.percentile(warm, 99)),
    }  # fmt: skip


def _peers() -> dict[str, Callable[[Slice], np.ndarray]]:
    """Return the peers at hand: a slice in, raw parameters out."""
    found: dict[str, Callable[[Slice], np.ndarray]] = {}
    try:
        m = importlib.import_module("stochastic_rs")
    except ImportError:
        return found

    def fit(s: Slice) -> np.ndarray:
        got = m.SviCalibrator(s["k"], s["w"]).params()
        return np.array([got["a"], got["b"], got["rho"], got["m"], got["sigma"]] if isinstance(got, dict) else got)

    found["stochastic-rs (unweighted)"] = fit
    found["QuantLib SviInterpolatedSmileSection"] = _quantlib()
    return found


def _quantlib() -> Callable[[Slice], np.ndarray]:
    """Return QuantLib's fit, vega-weighted, from a plain start. Its expiries are whole days, and w does not depend on them."""
    ql = importlib.import_module("QuantLib")
    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today

    def fit(s: Slice) -> np.ndarray:
        days = max(1, round(365 * float(s["tau"][0])))
        vols = np.sqrt(s["w"] / (days / 365.0))
        level, scale = float(np.average(s["w"], weights=s["weight"])), float(np.average(s["w"])) ** 0.5
        section = ql.SviInterpolatedSmileSection(
            today + days, 1.0, np.exp(s["k"]).tolist(), False, float(np.interp(0.0, s["k"], vols)), vols.tolist(),
            0.5 * level, 0.5 * scale, 0.5 * scale, -0.1, 0.0, False, False, False, False, False,
        )  # fmt: skip
        return np.array([section.a(), section.b(), section.rho(), section.m(), section.sigma()])

    return fit


def measure() -> dict:
    """Return the measurements, in this interpreter."""
    importlib.import_module("iv").bare_package() if (ROOT / "bench" / "iv.py").exists() else None
    result: dict = {"peers": PEERS.exists()}
    for kind, count in (("dense", 252), ("sparse", 252)):
        group = slices(kind, count, seed=11 if kind == "dense" else 12)
        ours = [_fit_one(s, None)[0] for s in group]
        rows = {"derivasys": _ours(group)}
        costs = {"derivasys": np.array([cost(s, raw) for s, raw in zip(group, ours, strict=True)])}
        for name, fit in _peers().items():
            times, raws = [], []
            for s in group:
                begin = time.perf_counter_ns()
                try:
                    raws.append(fit(s))
                except RuntimeError:  # QuantLib's word for "did not converge"
                    raws.append(np.full(5, np.nan))
                times.append((time.perf_counter_ns() - begin) / 1e3)
            rows[name] = {"us_cold_median": float(np.median(times)), "us_cold_p99": float(np.percentile(times, 99))}
            costs[name] = np.array([cost(s, raw) for s, raw in zip(group, raws, strict=True)])
        begin = time.perf_counter()
        simple = [_starts(s) for s in group]
        slow = np.array([reference(s, [*starts, raw]) for s, starts, raw in zip(group, simple, ours, strict=True)])
        rows["scipy least_squares, 4 starts"] = {"us_cold_median": (time.perf_counter() - begin) * 1e6 / count}
        costs["scipy least_squares, 4 starts"] = slow
        best = np.nanmin(np.stack(list(costs.values())), axis=0)
        for name, values in costs.items():
            rows[name]["within_1_percent_of_best"] = float((values <= 1.01 * best + 1e-9).mean())
        result[kind] = rows
    return result


def _starts(s: Slice) -> list[np.ndarray]:
    """Return three plain starts for the reference."""
    level = float(np.average(s["w"], weights=s["weight"]))
    scale = level**0.5
    return [
        np.array([0.5 * level, 0.5 * scale, rho, 0.0, width * scale])
        for rho, width in ((-0.3, 0.5), (0.2, 0.1), (0, 1.5))
    ]


def render(result: dict) -> str:
    """Return a table."""
    lines = [f"{'':38}{'us cold':>9}{'p99':>9}{'us warm':>9}{'near best':>11}"]
    for kind in ("dense", "sparse"):
        for name, row in result[kind].items():
            warm = f"{row['us_warm_median']:9.1f}" if "us_warm_median" in row else " " * 9
            p99 = f"{row['us_cold_p99']:9.1f}" if "us_cold_p99" in row else " " * 9
            near = f"{row['within_1_percent_of_best']:11.1%}"
            lines.append(f"{kind + ' ' + name:38}{row['us_cold_median']:9.1f}{p99}{warm}{near}")
    if not result["peers"]:
        lines.append("no peers here: run scripts/peers.sh")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(measure()))
