"""A surface as a gateway publishes it, evaluated here: five parameters an expiry are the whole smile."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derivasys.frames import Library, frame
from derivasys.smiles import NodeConventions, Smiles
from derivasys.wire.conventions import PARAMS
from derivasys.wire.published import BRANCH
from derivasys.wire.table import Tree

Floats = NDArray[np.float64]
Table = Literal["nodes", "tenors", "levels", "through", "smiles"]
_POINTS = ("vol", "bid_vol", "ask_vol", "last_vol", "mark_vol", "atm_vol", "excess_vol", "net_vol")
"""Fields in vol points on the wire, decimals in the tables."""


class PublishedSurface(Smiles):
    """One version of one currency's surface. Vols are decimals here, as everywhere in Python."""

    def __init__(self, states: dict[str, Tree], status: Tree | None = None) -> None:
        """`states` by channel: maps as in the compact form; `surface` is there, the others as subscribed."""
        surface = states["surface"]
        self.ccy: str = surface.get("ccy", "")
        self.version: int = surface["version"]
        self.ts: int = surface["ts"]
        """Milliseconds of the feed's clock: recorded time in a replay."""
        self.epoch: str = surface["epoch"]
        self.status = status
        """The server's last `status`, None where it is not followed."""
        self.fit: Tree | None = states.get("fit")
        smiles = sorted(surface["smiles"].values(), key=lambda smile: smile["expiry"])
        self.smiles: list[Tree] = smiles
        """As on the wire."""
        self.expiries = tuple(smile["expiry"] for smile in smiles)
        self.tau = np.array([smile["tau"] for smile in smiles], np.float64)
        self.forward = np.array([smile.get("forward", {}).get("price", math.nan) for smile in smiles], np.float64)
        params = [[smile.get("params", {}).get(name, math.nan) for name in PARAMS] for smile in smiles]
        self.params = np.array(params, np.float64).reshape(-1, len(PARAMS))
        said = surface["conventions"]
        self.conventions = NodeConventions(delta=said["delta"], fly=said["fly"])
        self._states = states

    @property
    def certificate(self) -> dict[int, Tree]:
        """By expiry: verdicts and margins of the parameters as published."""
        return {smile["expiry"]: smile["certificate"] for smile in self.smiles}

    def nodes(self) -> dict[str, list[Any]]:
        """Return the delta nodes as columns, one entry an expiry and node."""
        return _columns(
            {"expiry": smile["expiry"], "tau": smile["tau"], "node": name, **node}
            for smile in self.smiles
            for name, node in smile.get("nodes", {}).items()
        )

    def tenors(self) -> dict[str, list[Any]]:
        """Return the fixed tenors as columns, one entry a tenor; node vols under the nodes' names."""
        rows = sorted(self._state("tenors")["tenors"].values(), key=lambda row: row["days"])
        spread = ("vols", "risk_reversals", "flies")
        return _columns(
            {name: value for name, value in row.items() if name not in spread}
            | {name: value / 100.0 for part in spread for name, value in row.get(part, {}).items()}
            for row in rows
        )

    def levels(self) -> dict[str, list[Any]]:
        """Return the market as columns, one entry an expiry, strike and venue."""
        return self._cells("levels")

    def through(self) -> dict[str, list[Any]]:
        """Return the quotes through the fit as columns, one entry a cell."""
        return self._cells("through")

    def summary(self) -> dict[str, list[Any]]:
        """Return the smiles as columns, one entry an expiry: forward, parameters, verdicts, state."""
        return _columns(
            {
                **{name: smile.get(name) for name in ("expiry", "label", "days", "tau", "atm_vol")},
                "forward": smile.get("forward", {}).get("price"),
                **{name: smile.get("params", {}).get(name) for name in PARAMS},
                **{name: smile["certificate"][name] for name in ("butterfly", "calendar", "lee")},
                "state": smile["fit"]["state"],
                "reasons": "; ".join(smile["fit"]["reasons"]),
            }
            for smile in self.smiles
        )

    def to_frame(self, table: Table = "nodes", library: Library | None = None) -> Any:
        """Return a table as a pandas or polars frame; see `frames.frame` for the choice where `library` is None."""
        tables = {
            "nodes": self.nodes,
            "tenors": self.tenors,
            "levels": self.levels,
            "through": self.through,
            "smiles": self.summary,
        }
        if table not in tables:
            raise ValueError(f"no table {table!r}; there are {', '.join(tables)}")
        return frame(tables[table](), library)

    def _cells(self, channel: str) -> dict[str, list[Any]]:
        return _columns(
            {"expiry": int(expiry), "strike": float(strike), "venue": venue, **cell}
            for expiry, strikes in sorted(self._state(channel)[BRANCH[channel]].items())
            for strike, venues in sorted(strikes.items(), key=lambda pair: float(pair[0]))
            for venue, cell in sorted(venues.items())
        )

    def _state(self, channel: str) -> Tree:
        if channel not in self._states:
            raise ValueError(f"{channel} is not followed: name it in `channels`")
        return self._states[channel]


def _columns(rows: Any) -> dict[str, list[Any]]:
    """Return rows of fields as columns, None where a row lacks a field; vols as decimals."""
    listed = list(rows)
    names = dict.fromkeys(name for row in listed for name in row)
    columns: dict[str, list[Any]] = {name: [row.get(name) for row in listed] for name in names}
    for name in _POINTS:
        if name in columns:
            columns[name] = [None if value is None else value / 100.0 for value in columns[name]]
    return columns
