"""Small pure pieces of what several services report alike."""

from __future__ import annotations

from collections.abc import Iterable

from derivasys.telemetry.catalogue import BUCKETS, bucket
from derivasys.telemetry.registry import Telemetry

MS_A_DAY = 86_400_000


def report_fits(telemetry: Telemetry, ccy: str, now_ms: int, fits: Iterable[tuple[int, float, float, bool]]) -> None:
    """Set the calibration quality of a currency by bucket.

    `fits` has (expiry ms, rmse in vol points, share inside 0 to 1, is rejected) of each expiry; NaN where unknown.
    """
    worst = dict.fromkeys(BUCKETS, float("nan"))
    least = dict.fromkeys(BUCKETS, float("nan"))
    rejected = dict.fromkeys(BUCKETS, 0)
    for expiry, rmse, inside, is_rejected in fits:
        of = bucket(max(0.0, (expiry - now_ms) / MS_A_DAY))
        if is_rejected:
            rejected[of] += 1
            continue
        if not rmse <= worst[of]:
            worst[of] = rmse if rmse == rmse else worst[of]
        if not inside >= least[of]:
            least[of] = inside if inside == inside else least[of]
    for of in BUCKETS:
        telemetry.set("CalibrationRmse", worst[of], ccy, of)
        telemetry.set("InsideShare", 100.0 * least[of], ccy, of)
        telemetry.set("UncertifiedExpiries", rejected[of], ccy, of)
