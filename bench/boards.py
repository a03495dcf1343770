"""Recorded boards from quotes to certified surfaces: what is fitted, what freedom from arbitrage costs, how long it takes.

Every board is calibrated twice from nothing (cold; the second is timed) and then as the cycle after it (warm).
Shares and distances are over the used quotes: two-sided, out of the money where both types are quoted.
"""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np

import _recorded as recorded
from derivasys.analytics.arbitrage import certify
from derivasys.analytics.svi import round_published
from derivasys.calibrate import Grid, Rules, calibrate
from derivasys.expiry import expiry_label
from derivasys.surface import FITTED, HELD, REJECTED
from derivasys.warm_up import warm_up

WARM_CYCLES = 5
CYCLE_NS = 50_000_000


def run() -> dict:
    warm_up()
    by_group = defaultdict(list)
    for board in recorded.boards():
        by_group[board.period, board.ccy].append(_measure(board))
    rows = [_summary(period, ccy, of) for (period, ccy), of in by_group.items()]
    every = [one for of in by_group.values() for one in of]
    if len(by_group) > 1:
        rows.append(_summary("all", "", every))
    return {"note": recorded.note(), "rows": rows, "boards": every}


def _measure(board: recorded.RecordedBoard) -> dict:
    chain = board.chain()
    grid = Grid(chain)
    slots = list(range(len(chain.expiries)))

    def cycle(last, at_ns):
        started = time.perf_counter_ns()
        surface = calibrate(chain, grid, slots, last, at_ns, Rules())
        return surface, (time.perf_counter_ns() - started) / 1e6

    calibrate(chain, grid, slots, None, board.now_ns, Rules())
    surface, cold_ms = cycle(None, board.now_ns)
    last, warm = surface, []
    for at in range(1, WARM_CYCLES + 1):
        last, ms = cycle(last, board.now_ns + at * CYCLE_NS)
        warm.append(ms)
    return {**_quality(board, surface), "cold_ms": cold_ms, "warm_ms": float(np.median(warm))}


def _quality(board: recorded.RecordedBoard, surface) -> dict:
    quotes, selection = surface.board, surface.board.selection
    published = np.isfinite(surface.params).all(axis=1)
    row = np.flatnonzero(selection.used & published[quotes.slot])
    slot, k = quotes.slot[row], quotes.k[row]
    w_bid, w_ask = selection.w_bid[row], selection.w_ask[row]
    w, w_free = _w(surface.params[slot], k), _w(surface.free_start[slot, :5], k)
    vol = np.sqrt(w / surface.tau[slot])
    outside = 100 * np.maximum(0.0, np.maximum(quotes.bid_iv[row] - vol, vol - quotes.ask_iv[row]))
    worst = int(outside.argmax())
    error = 100 * (vol - selection.mid_iv[row])
    mark = 100 * (vol - quotes.mark_iv[row])
    free = surface.free_start[:, :5]
    has_free = np.isfinite(free).all(axis=1)
    free_ok = np.zeros(len(surface), bool)
    if has_free.any():
        free_ok[has_free] = certify(round_published(free[has_free])).ok
    return {
        "name": board.name,
        "ccy": board.ccy,
        "expiries": len(surface),
        "fitted": int((surface.state == FITTED).sum()),
        "repaired": int(((surface.state == FITTED) & ~free_ok).sum()),
        "held": int((surface.state == HELD).sum()),
        "rejected": int((surface.state == REJECTED).sum()),
        "uncertified": int(
            (published & ~((surface.butterfly == 0) & (surface.calendar == 0) & (surface.lee == 0))).sum()
        ),
        "tenor_rows": int(np.isfinite(surface.tenor_nodes.vol[:, 8]).sum()),
        "tenor_rows_certified": int(((surface.tenor_nodes.butterfly == 0) & (surface.tenor_nodes.calendar == 0)).sum()),
        "tenor_rows_convex": int((surface.tenor_nodes.method == 1).sum()),
        "reasons": sorted({reason.partition(":")[0].partition(" by ")[0] for one in surface.reasons for reason in one}),
        "quotes": len(row),
        "inside_free": float(((w_free >= w_bid) & (w_free <= w_ask)).mean()),
        "inside": float(((w >= w_bid) & (w <= w_ask)).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "median_error": float(np.median(np.abs(error))),
        "to_mark": float(np.nanmedian(np.abs(mark))),
        "worst_cell": float(outside[worst]),
        "worst_cell_at": f"{expiry_label(surface.expiries[slot[worst]])} {quotes.strike[row[worst]]:g}",
        "vol_index_30d": 100 * surface.vol_index_30d,
    }


def _w(params, k):
    a, b, rho, m, sigma = params.T
    return a + b * (rho * (k - m) + np.hypot(k - m, sigma))


def _summary(period: str, ccy: str, of: list[dict]) -> dict:
    def column(name):
        return np.array([one[name] for one in of], float)

    kept = column("inside") / column("inside_free")
    worst = max(of, key=lambda one: one["worst_cell"])
    return {
        "period": period,
        "ccy": ccy,
        "boards": len(of),
        **{
            name: int(column(name).sum())
            for name in ("expiries", "fitted", "repaired", "held", "rejected", "uncertified", "tenor_rows",
                         "tenor_rows_certified", "tenor_rows_convex")
        },
        "inside_free": float(column("inside_free").mean()),
        "inside": float(column("inside").mean()),
        "inside_worst": float(column("inside").min()),
        "kept": float(column("inside").sum() / column("inside_free").sum()),
        "kept_worst": float(kept.min()),
        "kept_worst_board": "{ccy} {name}".format(**of[int(kept.argmin())]),
        "rmse": float(np.sqrt((column("rmse") ** 2).mean())),
        "median_error": float(np.median(column("median_error"))),
        "to_mark": float(np.median(column("to_mark"))),
        "worst_cell": worst["worst_cell"],
        "worst_cell_at": "{ccy} {name} {worst_cell_at}".format(**worst),
        "cold_ms": [float(np.median(column("cold_ms"))), float(np.percentile(column("cold_ms"), 95))],
        "warm_ms": [float(np.median(column("warm_ms"))), float(np.percentile(column("warm_ms"), 95))],
    }  # fmt: skip


def render(result: dict) -> str:
    titles = ("boards", "expiries", "fitted", "of them repaired", "held", "rejected", "inside free → certified, %",
              "worst board", "kept of the free fit's share, % (worst)", "rmse", "median error", "to Deribit's mark",
              "cold ms p50 / p95", "warm ms p50 / p95")  # fmt: skip
    lines = [result["note"], "", "| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for row in result["rows"]:
        cells = (
            row["boards"], row["expiries"], row["fitted"], row["repaired"], row["held"], row["rejected"],
            f"{100 * row['inside_free']:.1f} → {100 * row['inside']:.1f}", f"{100 * row['inside_worst']:.1f}",
            f"{100 * row['kept']:.1f} ({100 * row['kept_worst']:.1f}, {row['kept_worst_board']})",
            f"{row['rmse']:.2f}", f"{row['median_error']:.2f}", f"{row['to_mark']:.2f}",
            "{:.1f} / {:.1f}".format(*row["cold_ms"]), "{:.1f} / {:.1f}".format(*row["warm_ms"]),
        )  # fmt: skip
        lines.append(f"| {row['period']} {row['ccy']} | " + " | ".join(map(str, cells)) + " |")
    lines.append("")
    for row in result["rows"]:
        lines.append(
            f"{row['period']} {row['ccy']}: {row['uncertified']} published smiles without certificate;"
            f" {row['tenor_rows_certified']} of {row['tenor_rows']} tenor rows proved"
            f" ({row['tenor_rows_convex']} by convex combination);"
            f" worst cell {row['worst_cell']:.1f} vol points outside its band ({row['worst_cell_at']})"
        )
    lines += ["", "Vol points throughout; inside: share of used quotes whose bid–ask holds the smile."]
    return "\n".join(lines)
