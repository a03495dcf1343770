"""Free fits: recovery, robustness, warm = cold, sparse slices, determinism."""

import numpy as np
import pytest

from derivasys.analytics import ssvi, svi
from derivasys.fit.smile import FitStatus, SmileFits, fit_smiles


def _board(counts: list[int], noise: float = 0.0, seed: int = 7) -> dict[str, np.ndarray]:
    """Return the inputs of `fit_smiles`: SSVI slices, one vol point wide, with noise in units of the half-spread."""
    rng = np.random.default_rng(seed)
    tau = np.geomspace(2 / 365, 1.0, len(counts))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("k", "w", "weight", "w_bid", "w_ask")}
    for count, t in zip(counts, tau, strict=True):
        w_atm = 0.36 * t
        k = np.linspace(-2.0, 2.0, count) * w_atm**0.5
        iv = np.sqrt(ssvi.total_variance(k, w_atm=w_atm, psi=1.1 * w_atm**0.5, rho=-0.3) / t)
        iv += 0.005 * noise * rng.uniform(-1.0, 1.0, count)
        parts["k"].append(k)
        parts["w"].append(iv * iv * t)
        parts["weight"].append((2 * iv * t * 0.01) ** -2.0)
        parts["w_bid"].append((iv - 0.005) ** 2 * t)
        parts["w_ask"].append((iv + 0.005) ** 2 * t)
    flat = {name: np.concatenate(values) for name, values in parts.items()}
    return {"offsets": np.concatenate(([0], np.cumsum(counts))), **flat, "tau": tau}


def _iv(board: dict[str, np.ndarray], fit: SmileFits, i: int) -> np.ndarray:
    k = board["k"][board["offsets"][i] : board["offsets"][i + 1]]
    a, b, rho, m, sigma = fit.params[i]
    return svi.iv(k, board["tau"][i], a=a, b=b, rho=rho, m=m, sigma=sigma)


def test_clean_slices_are_recovered() -> None:
    board = _board([30, 20, 60])
    fit = fit_smiles(**board)
    assert (fit.status == FitStatus.FITTED).all()
    assert (fit.inside_share == 1.0).all()
    assert fit.rmse_iv.max() < 2e-4  # what the weak prior costs


def test_a_warm_start_gives_the_cold_answer() -> None:
    board = _board([30, 20, 60], noise=0.8)
    cold = fit_smiles(**board)
    shifted = cold.params * [1.05, 0.95, 0.97, 1.02, 1.04]
    warm = fit_smiles(**board, start=shifted)
    for i in range(3):
        assert _iv(board, warm, i) == pytest.approx(_iv(board, cold, i), abs=1e-7)
    assert fit_smiles(**board, start=cold.start).iterations.max() <= 2


def test_the_same_input_gives_the_same_bits() -> None:
    board = _board([25, 25], noise=1.0)
    assert fit_smiles(**board).params.tobytes() == fit_smiles(**board).params.tobytes()


def test_a_wild_quote_does_not_drag_the_slice() -> None:
    board = _board([40])
    clean = _iv(board, fit_smiles(**board), 0)
    board["w"][10] *= 4.0
    assert _iv(board, fit_smiles(**board), 0) == pytest.approx(clean, abs=0.004)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_sparse_slice_borrows_its_neighbours_shape(count: int) -> None:
    board = _board([30, count])
    fit = fit_smiles(**board)
    assert fit.status.tolist() == [FitStatus.FITTED, FitStatus.SPARSE_NEIGHBOUR]
    a, b, rho, m, sigma = fit.params[1]
    k = np.linspace(-1.0, 1.0, 9) * 0.6
    expected = np.sqrt(ssvi.total_variance(k, w_atm=0.36, psi=0.66, rho=-0.3))
    assert svi.iv(k, 1.0, a=a, b=b, rho=rho, m=m, sigma=sigma) == pytest.approx(expected, abs=0.03)


def test_a_sparse_slice_alone_gets_a_standard_shape_and_an_empty_one_none() -> None:
    fit = fit_smiles(**_board([3, 0]))
    assert fit.status.tolist() == [FitStatus.SPARSE_DEFAULT, FitStatus.NO_QUOTES]
    assert np.isfinite(fit.params[0]).all()
    assert np.isnan(fit.params[1]).all()
    assert fit.quotes.tolist() == [3, 0]
