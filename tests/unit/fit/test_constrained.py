"""Certified boards: what is published always passes, costs little, holds and rejects with reasons."""

import numpy as np
import pytest

from derivasys.analytics import ssvi, svi
from derivasys.analytics.arbitrage import certify
from derivasys.fit import constrained
from derivasys.fit.constrained import FitReason, FitState, fit_board


def _board(vols: list[float], count: int = 25, noise: float = 0.0, seed: int = 3) -> dict[str, np.ndarray]:
    """Return fit inputs: one SSVI-shaped slice per ATM vol, quotes one vol point wide, noise in half-spreads."""
    rng = np.random.default_rng(seed)
    tau = np.geomspace(2 / 365, 1.0, len(vols))
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("k", "w", "weight", "w_bid", "w_ask")}
    for vol, t in zip(vols, tau, strict=True):
        w_atm = vol * vol * t
        k = np.linspace(-2.0, 2.0, count) * w_atm**0.5
        iv = np.sqrt(ssvi.total_variance(k, w_atm=w_atm, psi=1.1 * w_atm**0.5, rho=-0.3) / t)
        iv += 0.005 * noise * rng.uniform(-1.0, 1.0, count)
        columns["k"].append(k)
        columns["w"].append(iv * iv * t)
        columns["weight"].append((2 * iv * t * 0.01) ** -2.0)
        columns["w_bid"].append((iv - 0.005) ** 2 * t)
        columns["w_ask"].append((iv + 0.005) ** 2 * t)
    flat = {name: np.concatenate(parts) for name, parts in columns.items()}
    return {"offsets": np.arange(len(vols) + 1) * count, **flat, "tau": tau}


def _drop(board: dict[str, np.ndarray], gone: int) -> dict[str, np.ndarray]:
    """Return the board with expiry `gone` emptied."""
    lo, hi = board["offsets"][gone], board["offsets"][gone + 1]
    keep = np.ones(board["k"].size, dtype=bool)
    keep[lo:hi] = False
    out = {name: values[keep] for name, values in board.items() if name not in ("offsets", "tau")}
    offsets = board["offsets"].copy()
    offsets[gone + 1 :] -= hi - lo
    return {"offsets": offsets, **out, "tau": board["tau"]}


def test_a_clean_board_is_published_as_it_is() -> None:
    got = fit_board(**_board([0.6] * 6))
    assert got.certificate.ok.all()
    assert (got.state == FitState.FITTED).all()
    assert (got.inside_share == 1.0).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_noisy_board_is_certified_at_little_cost(seed: int) -> None:
    got = fit_board(**_board([0.7, 0.6, 0.62, 0.55, 0.6, 0.58, 0.6], noise=1.0, seed=seed))
    assert got.certificate.ok.all()
    assert certify(got.params).ok.all()
    assert svi.round_published(got.params).tobytes() == got.params.tobytes()
    assert got.inside_share.mean() > 0.93


def test_a_board_whose_calendar_falls_is_certified_too() -> None:
    got = fit_board(**_board([1.2, 0.5, 1.0, 0.3, 0.5]))
    assert got.certificate.ok.all()
    assert (got.objective >= got.free.objective - 1e-9).all()


def test_a_warm_start_gives_nearly_the_cold_answer() -> None:
    board = _board([0.7, 0.6, 0.62, 0.55, 0.6], noise=0.9)
    cold = fit_board(**board)
    warm = fit_board(**board, start=cold.params, free_start=cold.free.start)
    assert warm.certificate.ok.all()
    assert warm.objective.sum() == pytest.approx(cold.objective.sum(), rel=1e-3)
    assert warm.iterations <= cold.iterations


def test_the_same_input_gives_the_same_bits() -> None:
    board = _board([0.7, 0.6, 0.62], noise=1.0)
    assert fit_board(**board).params.tobytes() == fit_board(**board).params.tobytes()


def test_an_expiry_without_quotes_is_held_if_known_and_rejected_if_not() -> None:
    board = _board([0.6, 0.6, 0.6], noise=0.5)
    before = fit_board(**board)
    held = fit_board(**_drop(board, 1), start=before.params, free_start=before.free.start)
    assert held.state.tolist() == [FitState.FITTED, FitState.HELD, FitState.FITTED]
    assert held.reasons[1] & FitReason.NO_QUOTES
    assert held.certificate.ok.all()
    k = np.linspace(-0.2, 0.2, 9)
    old, new = (svi.total_variance(k, **dict(zip(("a", "b", "rho", "m", "sigma"), p, strict=True)))
                for p in (before.params[1], held.params[1]))  # fmt: skip
    assert new == pytest.approx(old, rel=0.02)
    fresh = fit_board(**_drop(board, 1))
    assert fresh.state.tolist() == [FitState.FITTED, FitState.REJECTED, FitState.FITTED]
    assert fresh.certificate.ok.tolist() == [True, False, True]
    assert np.isnan(fresh.params[1]).all()


def test_an_empty_board_is_rejected_whole() -> None:
    board = _drop(_drop(_board([0.6, 0.6]), 1), 0)
    got = fit_board(**board)
    assert (got.state == FitState.REJECTED).all()
    assert (got.reasons & FitReason.NO_QUOTES).all()


def test_sparse_slices_are_marked() -> None:
    board = _board([0.6, 0.6, 0.6], noise=0.5)
    keep = np.ones(75, dtype=bool)
    keep[25:47] = False
    sparse = {name: v[keep] for name, v in board.items() if name not in ("offsets", "tau")}
    got = fit_board(np.array([0, 25, 28, 53]), **sparse, tau=board["tau"])
    assert got.reasons[1] & FitReason.SPARSE
    assert got.certificate.ok.all()


def test_one_expiry_alone_is_certified() -> None:
    assert fit_board(**_board([0.6], noise=1.0)).certificate.ok.all()


def test_the_essvi_board_stands_in_when_five_parameters_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    board = _board([1.2, 0.5, 1.0, 0.3, 0.5])
    monkeypatch.setattr(constrained, "_solve", lambda problem, x, *_: (None, x, False, 7))
    monkeypatch.setattr(constrained, "_between", lambda *_: None)
    got = fit_board(**board)
    assert (got.reasons & FitReason.ESSVI).all()
    assert (got.state == FitState.FITTED).all()
    assert got.certificate.ok.all()


def test_a_failed_solve_is_repaired_on_the_way_to_the_essvi_board(monkeypatch: pytest.MonkeyPatch) -> None:
    board = _board([1.2, 0.5, 1.0, 0.3, 0.5])
    monkeypatch.setattr(constrained, "_solve", lambda problem, x, *_: (None, x, False, 7))
    got = fit_board(**board)
    assert not (got.reasons & FitReason.ESSVI).any()
    assert (got.reasons & FitReason.NOT_CONVERGED).all()
    assert got.certificate.ok.all()


def test_single_slices_are_rejected_when_nothing_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    board = _board([0.6, 0.6, 0.6], noise=0.5)
    rows = np.array([ssvi.to_raw(w_atm=v, psi=v**0.5, rho=0.0) for v in (0.04, 0.02, 0.05)])
    rows[2] = [-0.0410, 0.1331, 0.3060, 0.3586, 0.4153]  # Vogt's smile: butterfly arbitrage

    def nothing(*_: object) -> tuple[np.ndarray, np.ndarray, int]:
        return rows, np.array([FitReason.BUTTERFLY, 0, 0], dtype=np.uint8), 1

    monkeypatch.setattr(constrained, "_fit_active", nothing)
    got = fit_board(**board)
    assert got.state.tolist() == [FitState.FITTED, FitState.REJECTED, FitState.REJECTED]
    assert got.reasons[1] & FitReason.CALENDAR
    assert got.reasons[2] & FitReason.BUTTERFLY
    assert not got.reasons[0] & FitReason.BUTTERFLY
    assert got.certificate.ok.tolist() == [True, False, False]


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_quotes_the_published_board_is_certified(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    counts = rng.integers(0, 25, n)
    tau = np.sort(10 ** rng.uniform(-3, 0.3, n))
    vol = 10 ** rng.uniform(-1, 0.4, n)
    k = np.concatenate([np.sort(rng.normal(0, 1.5 * v * t**0.5, c)) for v, t, c in zip(vol, tau, counts, strict=True)])
    iv = np.repeat(vol, counts) * (1 + 0.3 * rng.uniform(-1, 1, k.size))
    t = np.repeat(tau, counts)
    w = iv * iv * t
    got = fit_board(
        np.concatenate(([0], np.cumsum(counts))), k, w, (2 * iv * t * 0.02) ** -2.0, 0.97 * w, 1.03 * w, tau
    )
    published = got.state != FitState.REJECTED
    assert published[counts > 0].all()
    assert got.certificate.ok[published].all()
    assert certify(got.params[published]).ok.all() if published.any() else True
