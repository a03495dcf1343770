"""The certificate on slices whose answer is known."""

import numpy as np
import pytest

from derivasys.analytics import exact, ssvi
from derivasys.analytics.arbitrage import NO, UNDECIDED, butterfly_kernel, calendar_kernel, certify, lee_kernel

VOGT = [-0.0410, 0.1331, 0.3060, 0.3586, 0.4153]
REPAIRED = [-0.03051990507, 0.1027167896, 0.1007176103, 0.2723442051, 0.4123980571]


def test_vogt_fails_and_its_repair_passes() -> None:
    # Gatheral-Jacquier 2014, sections 3.1 and 5.1; minima from mpmath
    certificate = certify([VOGT])
    assert not certificate.butterfly_ok[0]
    assert certificate.lee_ok[0]
    assert certificate.positive_ok[0]
    assert certificate.min_g[0] == pytest.approx(-0.0328635, abs=2e-7)
    assert certificate.min_g_k[0] == pytest.approx(0.879, abs=1e-3)
    repaired = certify([REPAIRED])
    assert repaired.ok[0]
    assert repaired.min_g[0] == pytest.approx(0.0081183, abs=1e-7)
    assert repaired.min_g_k[0] == pytest.approx(0.811, abs=1e-3)


def test_roots_of_p_are_where_g_of_vogt_changes_sign() -> None:
    p = [float(c) for c in exact.butterfly_polynomial(VOGT)]
    t = np.roots(p[::-1])
    t = np.sort(t[(abs(t.imag) < 1e-9) & (t.real > 0)].real)
    # roots found by mpmath in 60 digits
    assert 0.3586 + 0.5 * 0.4153 * (t - 1 / t) == pytest.approx([0.642407877869, 1.256912991932], abs=1e-11)


def test_lee_is_two_and_not_four() -> None:
    ok = [0.04, 2.0, 0.0, 0.0, 1.0]
    steep = [0.04, 2.0000001, 0.0, 0.0, 1.0]
    assert certify([ok]).lee_ok[0]
    assert not certify([steep]).lee_ok[0]
    assert not certify([steep]).ok[0]
    assert lee_kernel(2.0, 0.0) == UNDECIDED  # exactly at the bound: left to rational arithmetic
    assert certify([ok]).exact_used[0] > 0


def test_negative_a_is_legal_and_negative_variance_is_not() -> None:
    assert certify([[-0.01, 0.2, 0.0, 0.0, 0.5]]).positive_ok[0]
    assert not certify([[-0.1, 0.2, 0.0, 0.0, 0.5]]).positive_ok[0]  # touches zero: w > 0 fails
    assert not certify([[-0.11, 0.2, 0.0, 0.0, 0.5]]).ok[0]


def test_a_flat_slice_passes_and_nonsense_fails() -> None:
    assert certify([[0.04, 0.0, 0.0, 0.0, 0.1]]).ok[0]
    for row in (
        [np.nan, 0.1, 0.0, 0.0, 0.1],
        [0.04, np.inf, 0.0, 0.0, 0.1],
        [0.04, -0.1, 0.0, 0.0, 0.1],
        [0.04, 0.1, 1.1, 0.0, 0.1],
        [0.04, 0.1, 0.0, 0.0, -0.1],
        [0.04, 0.1, 0.0, 0.0, 0.0],
    ):
        assert not certify([row]).ok[0], row


def test_a_one_sided_wing_is_decided_exactly() -> None:
    certificate = certify([[0.04, 0.2, 1.0, 0.0, 0.3], [0.05, 0.2, -1.0, 0.0, 0.3]])
    assert certificate.exact_used.tolist()[0] > 0
    assert certificate.butterfly_ok[0]
    assert not certificate.calendar_ok[1]


def test_the_essvi_pair_that_passes_the_naive_condition_is_caught() -> None:
    # the pair of tests/golden: least gap -0.00161
    rows = [
        ssvi.to_raw(w_atm=0.141124587, psi=0.146317953, rho=-0.127907850),
        ssvi.to_raw(w_atm=0.164860918, psi=0.197043762, rho=0.137867370),
    ]
    certificate = certify(rows)
    assert certificate.butterfly_ok.all()
    assert certificate.calendar_ok.tolist() == [True, False]
    assert certificate.calendar_margin[1] == pytest.approx(-0.00161, abs=5e-6)
    assert np.isnan(certificate.calendar_margin[0])


def test_identical_slices_are_in_calendar_order_and_only_exactly_so() -> None:
    assert calendar_kernel(np.array(REPAIRED), np.array(REPAIRED)) == UNDECIDED
    assert certify([REPAIRED, REPAIRED]).calendar_ok.all()


def test_tails_that_cross_far_away_are_seen() -> None:
    earlier = [0.01, 0.1, 0.0, 0.0, 0.2]
    later = [0.02, 0.0999999, 0.0, 0.0, 0.2]
    certificate = certify([earlier, later])
    assert not certificate.calendar_ok[1]
    assert certificate.calendar_margin[1] == -np.inf
    assert not exact.calendar(earlier, later)


def test_a_row_of_nan_fails_itself_and_the_order_of_the_next() -> None:
    certificate = certify([[np.nan] * 5, REPAIRED])
    assert certificate.ok.tolist() == [False, False]
    assert certificate.butterfly_ok.tolist() == [False, True]


def test_butterfly_kernel_says_no_for_vogt() -> None:
    assert butterfly_kernel(*VOGT) == NO


@pytest.mark.parametrize("touch", [0.0, 1e-12, -1e-12])
def test_a_touching_calendar_is_decided(touch: float) -> None:
    """Two slices with one common tangent point: gap = (distance)**2-like, shifted by touch."""
    earlier = [0.04, 0.1, 0.0, 0.0, 0.3]
    # same vertex height, wider bend and steeper wings: they touch at k = 0 only
    later = [0.04 + 0.1 * 0.3 - 0.12 * 0.25 + touch, 0.12, 0.0, 0.0, 0.25]
    got = exact.calendar(earlier, later)
    gap = later[0] + 0.12 * 0.25 - (0.04 + 0.1 * 0.3)
    if abs(gap) > 1e-15:
        assert got == (gap > 0)
    assert certify([earlier, later]).calendar_ok[1] == got
