"""When a calibrator should not be relied on."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, smile_board

from derivasys.calibrate import Rules
from derivasys.pipeline import Pipeline
from derivasys.services.calibrator import CalibratorService
from derivasys.surface import FITTED, REJECTED


@pytest.fixture(scope="module")
def surface():
    pipeline = Pipeline(Rules())
    for event in (*smile_board(), *smile_board(expiry=WEEK_MS + 40 * DAY_MS, forward=101.0)):
        pipeline.apply(event)
    return pipeline.drain(NOW_NS)[0]


@pytest.mark.parametrize(
    ("states", "reasons"),
    [((FITTED, FITTED), []), ((FITTED, REJECTED), []), ((REJECTED, REJECTED), ["{ccy}: 2 of 2 expiries rejected"])],
)
def test_poor_fits_are_a_reason(surface, states, reasons):
    service = CalibratorService.__new__(CalibratorService)
    service._consumer = object()
    shown = msgspec.structs.replace(surface, state=np.array(states))
    pipeline = SimpleNamespace(surfaces={surface.ccy: shown})
    service.owned = {0: SimpleNamespace(is_rebuilding=False, pipeline=pipeline)}
    assert service.not_ready() == [reason.format(ccy=surface.ccy) for reason in reasons]
