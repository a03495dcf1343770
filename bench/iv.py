"""Implied volatility: speed on 2,016 quotes of 12 expiries and accuracy against 60 digits, peers in the same run.

Peers come from a virtual environment of their own (`scripts/peers.sh`); without it only scipy and this package are
measured. All of them run in one process, turn and turn about, one thread each, so that a busy machine hurts all alike.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
ROUNDS = 15
ROUNDS_SLOW = 3
Inverse = Callable[[], np.ndarray]


def run() -> dict:
    """Return ns per inversion and worst errors of each implementation; in the peers' interpreter when there is one."""
    if PEERS.exists() and Path(sys.prefix).resolve() != PEERS.parents[1].resolve():
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(PEERS), __file__], capture_output=True, text=True, check=True, env=environment, cwd=ROOT
        )
        return json.loads(done.stdout)
    return measure()


def bare_package() -> None:
    """Make `derivasys` importable without its own imports (the peers' environment has only the numerics' packages)."""
    if "derivasys" not in sys.modules:
        package = types.ModuleType("derivasys")
        package.__path__ = [str(ROOT / "src" / "derivasys")]
        sys.modules["derivasys"] = package


def board() -> dict[str, np.ndarray]:
    """Return 2,016 out-of-the-money quotes: 12 expiries from an hour to two years, 20-120 vol, within 2.5 deviations."""
    black_price = importlib.import_module("derivasys.analytics.black").black_price
    rng = np.random.default_rng(0)
    tau = np.repeat(np.geomspace(1 / 8760, 2.0, 12), 168)
    iv = rng.uniform(0.2, 1.2, tau.size)
    forward = np.full(tau.size, 1e5)
    strike = forward * np.exp(np.tile(np.linspace(-2.5, 2.5, 168), 12) * iv * np.sqrt(tau))
    is_call = strike >= forward
    price = black_price(forward, strike, tau, iv, is_call)
    return {"price": price, "forward": forward, "strike": strike, "tau": tau, "is_call": is_call, "iv": iv}


def hard_grid() -> dict[str, np.ndarray]:
    """Return quotes over an hour to two years, 1-500 vol, prices to 1e-290 of the forward, with 60-digit prices."""
    mp = importlib.import_module("mpmath")
    rows = []
    with mp.workdps(60):
        for tau in (1 / 8760, 1 / 365, 7 / 365, 0.25, 1.0, 2.0):
            for iv in (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 2.5, 5.0):
                for h in (0.0, 1e-6, 1e-3, 0.1, 0.3, 1.0, 2.5, 6.0, 15.0, 30.0, 35.0):
                    for side in (-1.0, 1.0):
                        strike = 1e5 * float(np.exp(side * h * iv * tau**0.5))
                        s, x = mp.mpf(iv) * mp.sqrt(mp.mpf(tau)), mp.log(mp.mpf(1e5) / mp.mpf(strike))
                        sign = -1 if strike < 1e5 else 1
                        d1, d2 = x / s + s / 2, x / s - s / 2
                        price = sign * (
                            1e5 * mp.erfc(-sign * d1 / mp.sqrt(2)) / 2
                            - mp.mpf(strike) * mp.erfc(-sign * d2 / mp.sqrt(2)) / 2
                        )
                        condition = float(price / (1e5 * mp.npdf(d1) * s))
                        if price > 1e-285 and condition < 1e12:
                            rows.append((float(price), 1e5, strike, tau, strike >= 1e5, iv, condition))
    names = ("price", "forward", "strike", "tau", "is_call", "iv", "condition")
    columns = dict(zip(names, np.array(rows).T, strict=True))
    columns["is_call"] = columns["is_call"].astype(bool)
    return columns


def contenders(q: dict[str, np.ndarray]) -> dict[str, Inverse]:
    """Return every implementation at hand, each as a call that inverts all of q."""
    p, f, k, t, c = (q[name] for name in ("price", "forward", "strike", "tau", "is_call"))
    ours = importlib.import_module("derivasys.analytics.implied_vol").implied_vol
    found: dict[str, Inverse] = {"derivasys": lambda: ours(p, f, k, t, c)[0]}

    def optional(name: str, module: str, make: Callable[[types.ModuleType], Inverse]) -> None:
        try:
            found[name] = make(importlib.import_module(module))
        except ImportError:
            return

    def split(one: Callable[[np.ndarray, bool], np.ndarray]) -> Inverse:
        """Peers that take one option type a call get two calls."""
        calls, puts = np.flatnonzero(c), np.flatnonzero(~c)

        def both() -> np.ndarray:
            out = np.empty(p.size)
            out[calls], out[puts] = one(calls, True), one(puts, False)
            return out

        return both

    optional(
        "iv-engine",
        "iv_engine",
        lambda m: split(
            lambda i, call: np.asarray(m.implied_volatilities(p[i], f[i], k[i], t[i], is_call=call, parallel=False))
        ),
    )
    optional(
        "lbriv",
        "lbriv",
        lambda m: split(
            lambda i, call: m.vectorized_implied_vol_strikes(p[i], 1e5, k[i], 1 if call else -1) / np.sqrt(t[i])
        ),
    )
    rows = list(zip(p.tolist(), f.tolist(), k.tolist(), t.tolist(), c.tolist(), strict=True))
    optional(
        "py_lets_be_rational",
        "py_lets_be_rational",
        lambda m: (
            lambda: np.array(
                [
                    m.implied_volatility_from_a_transformed_rational_guess(a, b, x, y, 1.0 if z else -1.0)
                    for a, b, x, y, z in rows
                ]
            )
        ),
    )
    optional(
        "vollib",
        "vollib.black.implied_volatility",
        lambda m: (
            lambda: np.array(
                [
                    m.implied_volatility_of_undiscounted_option_price(a, b, x, y, "c" if z else "p")
                    for a, b, x, y, z in rows
                ]
            )
        ),
    )
    optional("QuantLib", "QuantLib", lambda m: lambda: np.array([_quantlib(m, *row) for row in rows]))
    optional("scipy brentq", "scipy.optimize", lambda m: lambda: np.array([_brentq(m, *row) for row in rows]))
    return found


def _quantlib(m: types.ModuleType, price: float, forward: float, strike: float, tau: float, is_call: bool) -> float:
    try:
        kind = m.Option.Call if is_call else m.Option.Put
        return float(m.blackFormulaImpliedStdDev(kind, strike, forward, price)) / tau**0.5
    except RuntimeError:
        return float("nan")


def _brentq(m: types.ModuleType, price: float, forward: float, strike: float, tau: float, is_call: bool) -> float:
    import math

    sign = 1.0 if is_call else -1.0
    x = math.log(forward / strike)

    def gap(iv: float) -> float:
        s = iv * tau**0.5
        upper, lower = sign * (x / s + s / 2), sign * (x / s - s / 2)
        value = forward * math.erfc(-upper / 2**0.5) / 2 - strike * math.erfc(-lower / 2**0.5) / 2
        return sign * value - price

    try:
        return float(m.brentq(gap, 1e-4, 20.0, xtol=1e-14, rtol=1e-14))
    except ValueError:
        return float("nan")


def measure() -> dict:
    """Return the measurements, in this interpreter."""
    bare_package()
    q = board()
    speed = contenders(q)
    times: dict[str, list[float]] = {name: [] for name in speed}
    slow = set()
    for name, invert in speed.items():
        invert()
        begin = time.perf_counter()
        invert()
        if time.perf_counter() - begin > 0.02 and name != "derivasys":
            slow.add(name)
    for turn in range(ROUNDS):
        for name, invert in speed.items():
            if name in slow and turn >= ROUNDS_SLOW:
                continue
            repeats = 1 if name in slow else 10
            begin = time.perf_counter_ns()
            for _ in range(repeats):
                invert()
            times[name].append((time.perf_counter_ns() - begin) / repeats / q["iv"].size)
    hard = hard_grid()
    result = {}
    for name, invert in contenders(hard).items():
        with np.errstate(all="ignore"):
            error = np.abs(invert() / hard["iv"] - 1)
        error = np.where(np.isfinite(error), error, np.inf)
        scaled = error / np.maximum(1.0, hard["condition"])
        right = error[error <= 1e-6]
        result[name] = {
            "ns_per_inversion_median": float(np.median(times[name])),
            "ns_per_inversion_best": float(np.min(times[name])),
            "rounds": len(times[name]),
            "wrong_share_of_grid": float((scaled > 1e-6).mean()),
            "error_worst_over_condition": float(scaled.max()) if np.isfinite(scaled).all() else None,
            "error_median": float(np.median(right)) if right.size else None,
        }
    best = min((v["ns_per_inversion_median"] for name, v in result.items() if name != "derivasys"), default=None)
    ours = result["derivasys"]["ns_per_inversion_median"]
    return {
        "quotes": int(q["iv"].size),
        "grid": int(hard["iv"].size),
        "peers": PEERS.exists(),
        "results": result,
        "times_faster_than_best_peer": best / ours if best else None,
    }


def render(result: dict) -> str:
    """Return a table."""
    lines = [f"{'':22}{'ns each':>9}{'wrong':>9}{'worst error / condition':>26}"]
    for name, row in result["results"].items():
        worst = row["error_worst_over_condition"]
        text = "not a number" if worst is None else f"{worst:.1e}"
        lines.append(f"{name:22}{row['ns_per_inversion_median']:9.0f}{row['wrong_share_of_grid']:9.1%}{text:>26}")
    if not result["peers"]:
        lines.append("no peers here: run scripts/peers.sh")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(measure()))
