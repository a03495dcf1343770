"""The certified fit against a slow joint reference: the same problem given to an interior-point solver (CasADi, IPOPT).

Every board is one nonlinear programme over all its smiles at once: the quotes' robust loss and the weak priors of the
fit, Lee's bound, positivity, g >= 0 and w later >= w earlier at points that move with the slices and, solved again and
again, at the points where the last solution still violated them, until what is left is below 1e-6. It starts from our
fit, from the eSSVI board and from fits that started elsewhere; the best counts. It knows nothing of our solver's bounds
on m and sigma. Minutes for the default (every sixth snapshot); EVERY=1 takes all.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
EVERY = 6
QUOTES_MIN = 6
"""Slices of fewer quotes take their shape from elsewhere: how far they are from a loss of nearly nothing says little."""
U = np.linspace(-7.0, 7.0, 57)
"""Points of a slice, k = m + sigma sinh(u)."""
DENSE = np.sinh(np.linspace(-8.0, 8.0, 1601))
EXTRA = 12
"""Places for points that were violated, by slice and by pair."""
ROUNDS = 8
VIOLATION_MAX = 1e-6
"""Of g, and of a gap in units of the slice's level."""


def run() -> dict:
    """Return costs, ours and the reference's; in the peers' interpreter, which has CasADi."""
    if not PEERS.exists():
        return {"note": "no peers here: run scripts/peers.sh", "boards": []}
    if Path(sys.prefix).resolve() == PEERS.parents[1].resolve():
        return measure()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(PEERS), __file__], stdout=subprocess.PIPE, text=True, check=True, env=environment, cwd=ROOT
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure() -> dict:
    """Return a row a board."""
    importlib.import_module("iv").bare_package()
    recorded, surface = importlib.import_module("_recorded"), importlib.import_module("surface")
    rows = [_compare(board, surface) for board in recorded.boards(int(os.environ.get("EVERY", EVERY)))]
    return {"note": recorded.note(), "boards": rows}


def _compare(board, surface) -> dict:
    constrained = importlib.import_module("derivasys.fit.constrained")
    quotes = importlib.import_module("derivasys.fit.quotes")
    rows = surface.recorded(board)
    fit, selection, k, _ = surface.cycle(rows, None)
    offsets, used = quotes.group_by_expiry(selection, rows.slot, k, rows.tau.size)
    keep = np.flatnonzero((fit.free.quotes > 0) & np.isfinite(fit.params).all(axis=1))
    parts = [np.arange(offsets[i], offsets[i + 1]) for i in keep.tolist()]
    at = used[np.concatenate(parts)]
    inner = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    problem, _, x_essvi = constrained.reference_problem(
        inner, k[at], selection.w[at], selection.weight[at], fit.free.params[keep]
    )
    ours = _variables(fit.params[keep])
    rng = np.random.default_rng(1)
    wild = []
    for _ in range(3):
        shaken = fit.params * (1 + 0.2 * rng.normal(size=fit.params.shape))
        shaken[:, 2] = np.clip(shaken[:, 2], -0.95, 0.95)
        other = surface.cycle(rows, fit._replace(params=shaken))[0]
        if np.isfinite(other.params[keep]).all():
            wild.append(_variables(other.params[keep]))
    best, losses = np.inf, None
    programme = Programme(problem)
    status = []
    for start in (ours, x_essvi, *wild):
        x, ok = programme.solve(start)
        total = programme.cost(x)
        status.append([ok, total])
        if ok and total < best:
            best, losses = total, programme.losses(x)
    mine = programme.losses(ours)
    judged = np.diff(inner) >= QUOTES_MIN
    return {
        "board": f"{board.ccy} {board.name}", "quotes": int(inner[-1]), "slices": int(judged.sum()), "solves": status,
        "ours": float(programme.cost(ours)), "reference": float(best), "losses": mine[judged].tolist(),
        "reference_losses": [] if losses is None else losses[judged].tolist(),
        "per_slice": np.diff(inner)[judged].tolist(), "expiries": keep[judged].tolist(),
    }  # fmt: skip


def _variables(raw: np.ndarray) -> np.ndarray:
    """Return x = (a, p, q, m, lns) of raw rows."""
    a, b, rho, m, sigma = raw.T
    return np.stack((a, b * (1 + rho), b * (1 - rho), m, np.log(sigma)), axis=1)


def _curve(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    r = np.hypot(k - x[3], np.exp(x[4]))
    return x[0] + 0.5 * x[1] * (r + k - x[3]) + 0.5 * x[2] * (r - k + x[3])


def _minima(values: np.ndarray) -> list[int]:
    """Return where local minima are too negative (ends are the wings' business)."""
    inner = (values[1:-1] <= values[:-2]) & (values[1:-1] <= values[2:]) & (values[1:-1] < -VIOLATION_MAX)
    return (np.flatnonzero(inner) + 1).tolist()


class Programme:
    """One board's nonlinear programme, in variables scaled by each slice's level."""

    def __init__(self, problem) -> None:
        ca = self.ca = importlib.import_module("casadi")
        self.problem = problem
        n = self.n = len(problem.level)
        root = np.sqrt(problem.level)
        self.scale = np.stack((problem.level, root, root, root, np.ones(n)), axis=1)
        z = ca.SX.sym("z", 5, n)
        slices = [[z[c, i] * self.scale[i, c] for c in range(5)] for i in range(n)]
        losses = [self._loss(x, i) for i, x in enumerate(slices)]
        prior = 0
        for i, x in enumerate(slices):
            for c in range(5):
                prior += 0.5 * problem.precision[i, c] * (x[c] - problem.prior[i, c]) ** 2
        constraints = []
        extra_g, extra_gap = ca.SX.sym("extra_g", EXTRA, n), ca.SX.sym("extra_gap", EXTRA, n)
        for i, x in enumerate(slices):
            constraints += [self._g(x, u) for u in U]
            constraints += [self._g(x, ca.asinh((extra_g[c, i] - x[3]) * ca.exp(-x[4]))) for c in range(EXTRA)]
            constraints.append((x[0] + ca.exp(x[4]) * ca.sqrt(x[1] * x[2])) / problem.level[i])
        for i in range(n - 1):
            p, q = slices[i], slices[i + 1]
            constraints += [(q[1] - p[1]) / root[i], (q[2] - p[2]) / root[i]]
            for centre, width in ((p[3], p[4]), (q[3], q[4])):
                points = [centre + ca.exp(width) * np.sinh(u) for u in U[8:49:2]]
                constraints += [(self._w(q, k) - self._w(p, k)) / problem.level[i] for k in points]
            points = [extra_gap[c, i] for c in range(EXTRA)]
            constraints += [(self._w(q, k) - self._w(p, k)) / problem.level[i] for k in points]
        total = sum(losses) + prior
        self._cost = ca.Function("cost", [z], [total])
        self._losses = ca.Function("losses", [z], [ca.vertcat(*losses)])
        self._solvers = []
        for how in ({"adaptive_mu_globalization": "never-monotone-mode"}, {}, {"mu_oracle": "loqo"}):
            ipopt = {"print_level": 0, "sb": "yes", "max_iter": 150, "tol": 1e-8, "mu_strategy": "adaptive", **how}
            options = {"print_time": False, "show_eval_warnings": False, "ipopt": ipopt}
            parameters = ca.vertcat(ca.vec(extra_g), ca.vec(extra_gap))
            programme = {"x": ca.vec(z), "p": parameters, "f": total, "g": ca.vertcat(*constraints)}
            self._solvers.append(ca.nlpsol("solver", "ipopt", programme, options))

    def _w(self, x, k):
        y = k - x[3]
        r = self.ca.sqrt(y * y + self.ca.exp(2 * x[4]))
        return x[0] + 0.5 * x[1] * (r + y) + 0.5 * x[2] * (r - y)

    def _g(self, x, u):
        """Return g at k = m + sigma sinh(u)."""
        ca = self.ca
        sigma = ca.exp(x[4])
        k = x[3] + sigma * ca.sinh(u)
        w = x[0] + sigma * (0.5 * x[1] * ca.exp(u) + 0.5 * x[2] * ca.exp(-u))
        tanh = ca.tanh(u)
        slope = 0.5 * x[1] * (1 + tanh) - 0.5 * x[2] * (1 - tanh)
        bend = 0.5 * (x[1] + x[2]) / (sigma * ca.cosh(u) ** 3)
        return (1 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1 / w + 0.25) + 0.5 * bend

    def _loss(self, x, i: int):
        part = slice(int(self.problem.offsets[i]), int(self.problem.offsets[i + 1]))
        total = 0
        for k, w, weight in zip(
            self.problem.k[part].tolist(),
            self.problem.w[part].tolist(),
            self.problem.weight[part].tolist(),
            strict=True,
        ):
            total += self.ca.sqrt(1 + weight * (self._w(x, k) - w) ** 2) - 1
        return total

    def solve(self, x: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return (local optimum from x, whether the solver says so and it violates nothing)."""
        extra = np.zeros((2, self.n, EXTRA))
        place = np.zeros((2, self.n), int)
        for _ in range(ROUNDS):
            x, ok = self._solve(x, extra)
            if not ok:
                return x, False
            found = self._violations(x)
            if not found:
                return x, True
            for row, i, k in found:
                extra[row, i, place[row, i] % EXTRA] = k
                place[row, i] += 1
        return x, False

    def _solve(self, x: np.ndarray, extra: np.ndarray) -> tuple[np.ndarray, bool]:
        n = self.n
        low, high = np.full((n, 5), -np.inf), np.full((n, 5), np.inf)
        low[:, 1:3], high[:, 1:3] = 1e-4, 2.0 / self.scale[:, 1:3]
        low[:, 4], high[:, 4] = np.log(1e-3 * self.scale[:, 1]), np.log(20.0 * np.maximum(self.scale[:, 1], 1.0))
        start = np.clip(x / self.scale, low, high)
        for solver in self._solvers:
            found = solver(x0=start.ravel(), p=extra.ravel(), lbx=low.ravel(), ubx=high.ravel(), lbg=0.0, ubg=np.inf)
            if solver.stats()["success"]:
                return np.array(found["x"]).reshape(n, 5) * self.scale, True
        return x, False

    def _violations(self, x: np.ndarray) -> list[tuple[int, int, float]]:
        """Return (0 for g or 1 for a gap, slice, k) of the local minima that are negative, on a dense grid."""
        found = []
        for i, (a, p, q, m, lns) in enumerate(x):
            sigma = np.exp(lns)
            k = m + sigma * DENSE
            r = np.hypot(k - m, sigma)
            w = a + 0.5 * p * (r + k - m) + 0.5 * q * (r - k + m)
            slope = 0.5 * p * (1 + (k - m) / r) - 0.5 * q * (1 - (k - m) / r)
            bend = 0.5 * (p + q) * sigma**2 / r**3
            g = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + bend / 2
            found += [(0, i, k[at]) for at in _minima(g)]
            if i + 1 < len(x):
                k = np.sort(np.concatenate((k, x[i + 1, 3] + np.exp(x[i + 1, 4]) * DENSE)))
                gap = (_curve(x[i + 1], k) - _curve(x[i], k)) / self.problem.level[i]
                found += [(1, i, k[at]) for at in _minima(gap)]
        return found

    def cost(self, x: np.ndarray) -> float:
        """Return loss and prior."""
        return float(self._cost((x / self.scale).T))

    def losses(self, x: np.ndarray) -> np.ndarray:
        """Return the quotes' loss by slice."""
        return np.array(self._losses((x / self.scale).T)).ravel()


def render(result: dict) -> str:
    """Return a few lines."""
    boards = [board for board in result["boards"] if board["reference_losses"]]
    if not boards:
        return result["note"]
    ours, theirs, counts = (
        np.concatenate([board[name] for board in boards]) for name in ("losses", "reference_losses", "per_slice")
    )
    excess = np.array([board["ours"] / board["reference"] - 1 for board in boards])
    near = ours <= 1.01 * theirs
    slack = ours - theirs <= np.maximum(0.01 * theirs, 1e-3 * counts)
    lines = [
        result["note"],
        f"{len(boards)} of {len(result['boards'])} boards with a reference, {len(ours)} slices of {QUOTES_MIN} quotes or more",
        f"whole boards: our cost above the reference's: median {np.median(excess):.3%}, worst {excess.max():.3%}",
        f"slices within 1 % of the reference's loss: {near.mean():.2%} ({int((~near).sum())} are not)",
        f"  or within 0.001 squared spreads a quote: {slack.mean():.2%}",
    ]
    for board in boards:
        for i, own, other in zip(board["expiries"], board["losses"], board["reference_losses"], strict=True):
            if own > 1.01 * other:
                lines.append(f"  {board['board']} expiry {i}: {own:.4f} against {other:.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "bench"))
    print(json.dumps(measure()))
