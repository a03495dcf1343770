"""`derivasys fit`: one surface from one file, as a document, a table or a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from derivasys.calibrate import Grid, Rules, calibrate
from derivasys.estimate.chain import Chain
from derivasys.fit.quotes import QuoteReason
from derivasys.record.chain_file import ChainFile, ChainFileError, read
from derivasys.surface import STATES, Surface
from derivasys.wire.messages import SCHEMA
from derivasys.wire.state import state_of


def fit(chain_file: ChainFile, ccy: str, rules: Rules | None = None) -> Surface:
    """Return the surface of one currency in a file, expired expiries included (as rejected)."""
    chain = Chain(ccy)
    for event in chain_file.events:
        if event.ccy == ccy:
            chain.apply(event)
    chain.take_dirty(0)  # nothing counts as expired yet: what has expired is explained, not dropped
    grid = Grid(chain)
    slots = list(range(len(chain.expiries)))
    return calibrate(chain, grid, slots, None, chain_file.now_ns, rules or Rules())


def fit_path(path: str | Path, *, ts: str | None = None, ccy: str | None = None, rules: Rules | None = None) -> Surface:
    """Return the surface of a file (see `record.chain_file`). `ts` is the moment of the quotes where the file has none.

    Raises `record.chain_file.ChainFileError`, whose message names the row and column, for a file that is no chain, or
    that holds several currencies while `ccy` chooses none.
    """
    chain = read(Path(path), ts, ccy)
    if ccy is None and len(chain.ccys) > 1:
        raise ChainFileError(f"{path} holds {', '.join(chain.ccys)}: choose one with ccy")
    if ccy is not None and ccy not in chain.ccys:
        raise ChainFileError(f"{path} has no {ccy}; it holds {', '.join(chain.ccys)}")
    return fit(chain, ccy or chain.ccys[0], rules)


def document(surface: Surface) -> dict[str, Any]:
    """Return the body of `/surface/latest` with each smile's quotes."""
    state = state_of(surface)
    table = state.tables["surface"]
    quotes = _quotes(surface)
    smiles = [{**table.row(at), "quotes": quotes[at]} for at in range(len(surface))]
    return {
        "schema": SCHEMA,
        "ts": state.ts,
        "ccy": surface.ccy,
        "epoch": "file",
        "version": state.version,
        "source": "file",
        "conventions": state.conventions,
        **state.head,
        "smiles": smiles,
    }


def _quotes(surface: Surface) -> list[list[dict[str, Any]]]:
    board = surface.board
    rows: list[list[dict[str, Any]]] = [[] for _ in surface.expiries]
    for at in range(len(board.symbols)):
        reason = int(board.selection.reason[at])
        quote: dict[str, Any] = {"strike": float(board.strike[at])}
        _put(quote, "log_moneyness", float(board.k[at]), 6)
        quote["type"] = "C" if board.is_call[at] else "P"
        quote["venue"] = board.venues[int(board.venue[at])]
        _put(quote, "bid_iv", 100.0 * float(board.bid_iv[at]), 3)
        _put(quote, "ask_iv", 100.0 * float(board.ask_iv[at]), 3)
        quote["used"] = reason == QuoteReason.USED
        if reason != QuoteReason.USED:
            quote["reason"] = QuoteReason(reason).name.lower()
        rows[int(board.slot[at])].append(quote)
    return rows


def _put(into: dict[str, Any], name: str, value: float, decimals: int) -> None:
    if math.isfinite(value):
        into[name] = round(value, decimals)


_HEADING = "  expiry    days    forward     ATM    RR25   FLY25   rmse   in %      used  state"


def table(surface: Surface) -> str:
    """Return the surface as text: a line an expiry."""
    state = state_of(surface)
    smiles = [state.tables["surface"].row(at) for at in range(len(surface))]
    lines = [
        f"{surface.ccy}: {len(surface)} expiries, vols in vol points, 25-delta forward convention",
        _HEADING,
    ]
    for at, smile in enumerate(smiles):
        forward = smile.get("forward", {}).get("price")
        lines.append(
            f"{smile['label']:>8} {smile['days']:7.2f} {_text(forward, 2):>10}"
            f" {_text(smile.get('atm_vol'), 2):>7}"
            f" {_text(smile.get('risk_reversals', {}).get('RR25'), 2):>7}"
            f" {_text(smile.get('flies', {}).get('FLY25'), 2):>7}"
            f" {_text(smile['fit'].get('rmse'), 2):>6}"
            f" {_text(100 * float(surface.inside[at]), 0):>6}"
            f" {int(surface.used[at]):>4}/{int(surface.quotes[at]):<4}"
            f"  {STATES[int(surface.state[at])]}"
            + (f" ({'; '.join(surface.reasons[at])})" if surface.reasons[at] else "")
        )
    return "\n".join(lines)


def _text(value: float | None, decimals: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{decimals}f}"


def plot(surface: Surface, path: Path) -> None:
    """Write a PNG with one small chart an expiry: the smile, its used quotes' bands, the unused ones pale.

    Raises OSError, or ValueError where nothing can draw: the services' image has no matplotlib.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise ValueError("matplotlib is not installed here") from None

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    from derivasys.expiry import expiry_label

    n = len(surface)
    columns = min(4, n)
    rows = -(-n // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 3 * rows), squeeze=False, layout="constrained")
    board = surface.board
    reason = board.selection.reason
    for at, axis in enumerate(axes.flat):
        if at >= n:
            axis.axis("off")
            continue
        mine = board.slot == at
        for used, colour in ((False, "#c8ccd4"), (True, "#1f77b4")):
            show = mine & ((reason == 0) == used) & np.isfinite(board.bid_iv + board.ask_iv)
            axis.vlines(board.k[show], 100 * board.bid_iv[show], 100 * board.ask_iv[show], colour)
        if np.isfinite(surface.params[at]).all():
            show = mine & (reason == 0)
            low, high = (board.k[show].min(), board.k[show].max()) if show.any() else (-0.5, 0.5)
            k = np.linspace(low, high, 200)
            axis.plot(k, 100 * surface.vol(surface.expiries[at], k=k), "#d95f02")
        state = STATES[int(surface.state[at])]
        axis.set_title(f"{expiry_label(surface.expiries[at])} · {state}", fontsize=9)
        axis.tick_params(labelsize=7)
    figure.supxlabel("log-moneyness")
    figure.supylabel("implied vol, %")
    figure.suptitle(f"{surface.ccy} smiles")
    figure.savefig(path, dpi=110)
    plt.close(figure)
