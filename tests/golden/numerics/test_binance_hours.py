"""Real Binance boards of October 2023: forwards by put-call parity, surfaces certified.

Development data (not shipped): DERIVASYS_DATA names a folder with chains/binance-btc-2023-10-23.hourly.csv.
"""

import csv
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from tests.boards import ROOT

from derivasys.fit_file import fit_path
from derivasys.surface import CERTIFIED, FITTED, STATES

CHAIN = Path(os.environ.get("DERIVASYS_DATA", ""), "chains", "binance-btc-2023-10-23.hourly.csv")
pytestmark = pytest.mark.skipif(
    not CHAIN.is_file(), reason="DERIVASYS_DATA names no folder with chains/binance-btc-2023-10-23.hourly.csv"
)


def surface(tmp_path: Path, hour: int):
    spec = importlib.util.spec_from_file_location("binance_hourly", ROOT / "scripts" / "binance_hourly.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    path = tmp_path / f"{hour}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, script.COLUMNS)
        writer.writeheader()
        writer.writerows(script.convert(CHAIN, hour))
    return fit_path(path)


def test_a_calm_hour_is_fitted_whole(tmp_path):
    fitted = surface(tmp_path, 12)
    assert len(fitted) == 7
    assert [STATES[at] for at in fitted.state] == ["fitted"] * 7
    assert (fitted.butterfly == CERTIFIED).all()
    assert (fitted.calendar == CERTIFIED).all()
    assert {one.source for one in fitted.forwards} == {"parity"}
    # Spot was at 30,650 then; the nearest forward is within half a percent of it.
    assert fitted.forward[0] == pytest.approx(30_650, rel=5e-3)
    assert np.nanmax(fitted.rmse) < 0.03


def test_in_the_rally_what_has_no_parity_is_told_and_the_rest_certified(tmp_path):
    fitted = surface(tmp_path, 22)
    for at, state in enumerate(fitted.state):
        if state == FITTED:
            assert fitted.butterfly[at] == CERTIFIED
        else:
            assert fitted.reasons[at]
