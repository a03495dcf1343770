"""The block quadratic programme against scipy's and against its optimality conditions."""

import numpy as np
import pytest
from scipy.optimize import minimize

from derivasys.fit.quadratic import block_solve, factor_blocks, solve_program


def _program(seed: int, n: int = 3, count: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, 5, 5))
    hessian = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(5)
    first = np.sort(rng.integers(0, n, count))
    second = np.where((rng.uniform(size=count) < 0.5) & (first < n - 1), first + 1, -1)
    return {
        "hessian": hessian, "linear": rng.normal(size=(n, 5)), "first": first, "second": second,
        "a1": rng.normal(size=(count, 5)), "a2": rng.normal(size=(count, 5)), "rhs": rng.normal(size=count) * 0.5,
    }  # fmt: skip


def _solve(q: dict[str, np.ndarray], cap: float) -> tuple[np.ndarray, np.ndarray]:
    n, count = len(q["hessian"]), len(q["rhs"])
    factor, s, multiplier = np.empty((n, 5, 5)), np.empty((n, 5)), np.zeros(count)
    factor_blocks(q["hessian"], np.ones((n, 5)), factor)
    solve_program(
        factor, q["linear"], count, q["first"], q["second"], q["a1"], q["a2"], q["rhs"], np.full(count, cap),
        multiplier, s, 1e-10,
    )  # fmt: skip
    return s, multiplier


def _rows(q: dict[str, np.ndarray]) -> np.ndarray:
    n, count = len(q["hessian"]), len(q["rhs"])
    rows = np.zeros((count, n, 5))
    for j in range(count):
        rows[j, q["first"][j]] = q["a1"][j]
        if q["second"][j] >= 0:
            rows[j, q["second"][j]] = q["a2"][j]
    return rows.reshape(count, -1)


@pytest.mark.parametrize("seed", range(8))
def test_solution_satisfies_the_optimality_conditions(seed: int) -> None:
    q = _program(seed)
    s, multiplier = _solve(q, 1e6)
    rows = _rows(q)
    slack = rows @ s.ravel() - q["rhs"]
    stationarity = np.einsum("nij,nj->ni", q["hessian"], s).ravel() + q["linear"].ravel() - rows.T @ multiplier
    assert abs(stationarity).max() < 1e-6
    assert slack.min() > -1e-6
    assert abs(slack * multiplier).max() < 1e-5


def test_it_agrees_with_a_general_solver() -> None:
    q = _program(3)
    s, _ = _solve(q, 1e6)
    rows = _rows(q)

    def value(z: np.ndarray) -> float:
        z = z.reshape(-1, 5)
        return float(0.5 * np.einsum("ni,nij,nj->", z, q["hessian"], z) + (z * q["linear"]).sum())

    limits = {"type": "ineq", "fun": lambda z: rows @ z - q["rhs"]}
    other = minimize(value, s.ravel() * 0.0, constraints=limits, method="SLSQP", options={"maxiter": 500})
    assert value(s.ravel()) == pytest.approx(other.fun, rel=1e-5)


def test_an_infeasible_programme_becomes_its_relaxation() -> None:
    q = _program(1, n=1, count=2)
    q["a1"] = np.array([[1.0, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0]])
    q["first"], q["second"], q["rhs"] = np.zeros(2, dtype=int), np.full(2, -1), np.array([1.0, 1.0])
    s, multiplier = _solve(q, 50.0)
    assert np.isfinite(s).all()
    assert 0.0 < multiplier.max() <= 50.0


def test_indefinite_blocks_are_shifted_until_they_factor() -> None:
    hessian = np.array([np.diag([1.0, -1.0, 2.0, 0.0, 1.0])])
    factor, out = np.empty((1, 5, 5)), np.empty(5)
    factor_blocks(hessian, np.ones((1, 5)), factor)
    block_solve(factor[0], np.ones(5), out)
    assert np.isfinite(out).all()
    assert (out > 0.0).all()
