"""Published or independently computed (mpmath, 40 digits) reference values."""

import numpy as np
import pytest

from derivasys.analytics import ssvi, svi
from derivasys.analytics.deltas import delta_nodes

# Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (2014), section 3.1: Axel Vogt's smile
VOGT = {"a": -0.0410, "b": 0.1331, "rho": 0.3060, "m": 0.3586, "sigma": 0.4153}
VOGT_JW = svi.SviJw(0.0174262525552, -0.175211140809, 0.699738104117, 1.31679821899, 0.0116249032355)


@pytest.mark.parametrize(
    ("k", "expected"),
    [(0.0, 1.03864973128), (-1.5, 0.247830695258), (0.9, -0.032685130709)],
)
def test_g_of_vogt_matches_mpmath(k: float, expected: float) -> None:
    assert svi.g(k, **VOGT) == pytest.approx(expected, rel=1e-11)


def test_jump_wings_of_vogt_match_mpmath() -> None:
    jw = svi.raw_to_jw(1.0, **VOGT)
    assert jw == pytest.approx(VOGT_JW, rel=1e-11)
    assert svi.jw_to_raw(1.0, jw) == pytest.approx(list(VOGT.values()), rel=1e-12)


def test_guaranteed_repair_of_gatheral_jacquier_section_5() -> None:
    raw = svi.jw_to_raw(1.0, VOGT_JW._replace(c=0.3493158, v_tilde=0.01548182))
    expected = [0.00774091242, 0.06924203449, -0.3340364806, 0.04203374523, 0.1186078029]
    assert raw == pytest.approx(expected, rel=5e-6)  # the inputs are printed to seven digits


def test_optimal_repair_of_gatheral_jacquier_section_5() -> None:
    raw = svi.jw_to_raw(1.0, VOGT_JW._replace(c=0.8564763, v_tilde=0.0116249))
    expected = [-0.03051990507, 0.1027167896, 0.1007176103, 0.2723442051, 0.4123980571]
    assert raw == pytest.approx(expected, rel=5e-6)
    a, b, rho, m, sigma = raw
    assert svi.g(0.811, a=a, b=b, rho=rho, m=m, sigma=sigma) == pytest.approx(0.0081183, abs=1e-7)


def test_ssvi_to_raw_of_gatheral_jacquier_section_4() -> None:
    raw = ssvi.to_raw(w_atm=0.01, psi=0.01 * 7.9603, rho=-0.7)
    assert raw == pytest.approx([0.00255, 0.0398015, -0.7, 0.08793638431, 0.0897130564], rel=1e-9)


def test_essvi_pair_that_passes_the_naive_calendar_condition_crosses() -> None:
    # Hendriks and Martini (2019) print a condition that this pair satisfies; Pasquazzi, TEL 13 (2023), corrects it
    first = {"w_atm": 0.141124587, "psi": 0.146317953, "rho": -0.127907850}
    second = {"w_atm": 0.164860918, "psi": 0.197043762, "rho": 0.137867370}
    k = np.linspace(-40.0, 40.0, 400_001)
    gap = ssvi.total_variance(k, **second) - ssvi.total_variance(k, **first)
    assert gap.min() == pytest.approx(-0.00161, abs=5e-6)
    assert not ssvi.calendar_free(
        **{f"{name}_1": value for name, value in first.items()},
        **{f"{name}_2": value for name, value in second.items()},
    )


def test_delta_nodes_of_both_conventions() -> None:
    # an independent implementation's strikes at forward 100,000, 30 days, theta = 0.36 tau, phi = 1.2/sqrt(theta)
    tau = 30 / 365
    w_atm = 0.36 * tau
    raw = ssvi.to_raw(w_atm=w_atm, psi=1.2 * np.sqrt(w_atm), rho=-0.3)
    plain = delta_nodes([raw], [tau], [-0.25, 0.25], [False, True])
    adjusted = delta_nodes([raw], [tau], [-0.25, 0.25], [False, True], premium_adjusted=True)
    assert 1e5 * np.exp(plain.k[0]) == pytest.approx([89156.5941, 113350.5632], abs=1e-3)
    assert 1e5 * np.exp(adjusted.k[0]) == pytest.approx([87190.3546, 111810.2237], abs=1e-3)


def test_svi_recovery_from_25_exact_points() -> None:
    from derivasys.fit.smile import fit_smiles

    truth = {"a": 0.02, "b": 0.4, "rho": -0.6, "m": 0.05, "sigma": 0.2}
    k = np.linspace(-0.4, 0.3, 25)
    w = svi.total_variance(k, **truth)
    offsets = np.array([0, 25])
    weight = np.full(25, 1e12)  # exact points: precise enough for the weak prior not to matter
    fit = fit_smiles(offsets, k, w, weight, w - 1e-9, w + 1e-9, np.array([0.25]))
    assert fit.params[0] == pytest.approx(list(truth.values()), abs=1e-8)
    assert fit.inside_share[0] == 1.0
