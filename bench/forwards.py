"""How far put-call parity and the venue's own forward differ, on recorded boards.

The venue's forward is the median of what the rows of an expiry state; parity is the robust estimate of
`analytics.parity_board`, with the error that its pairs' bid-ask widths give it. `z` is the difference over the joint
error: were both errors right and independent, its median would be 0.67 and its 95th percentile 1.96.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

import _recorded as recorded
from derivasys.estimate.forward import VENUE_STDERR_BP_MIN, estimate_all

BUCKETS = ((0, 2), (2, 7), (7, 30), (30, 90), (90, 400))
"""Days to expiry."""


def run() -> dict:
    rows = defaultdict(list)
    disputed, boards = [], 0
    for board in recorded.boards():
        boards += 1
        chain = board.chain()
        (_,) = chain.all_series
        found = estimate_all(chain, range(len(chain.expiries)), board.now_ns)
        for expiry, one in zip(chain.expiries, found.bests(), strict=True):
            if not np.isfinite(one.parity_gap_bp):
                continue
            days = (expiry * 1_000_000 - board.now_ns) / recorded.DAY_NS
            bucket = next((at for at in BUCKETS if at[0] <= days < at[1]), BUCKETS[-1])
            row = (one.parity_gap_bp, one.parity_stderr_bp, one.parity_pairs, one.is_disputed)
            for key in (bucket, "all"):
                rows[board.period, board.ccy, key].append(row)
            if one.is_disputed:
                disputed.append([board.name, board.ccy, round(days, 2), *(round(at, 2) for at in row[:2]), row[2]])
    return {
        "note": recorded.note(),
        "boards": boards,
        "rows": [_row(*key, np.array(of, float)) for key, of in sorted(rows.items(), key=_order)],
        "disputed": sorted(disputed, key=lambda at: -abs(at[3]))[:10],
    }


def _order(item):
    (period, ccy, bucket), _ = item
    return period == "crash week", ccy, (1e9,) if bucket == "all" else bucket


def _row(period, ccy, bucket, of):
    gap, error = of[:, 0], of[:, 1]
    distance = np.abs(gap)
    z = distance / np.hypot(error, VENUE_STDERR_BP_MIN)
    return {
        "period": period,
        "ccy": ccy,
        "days": "all" if bucket == "all" else f"{bucket[0]}–{bucket[1]}",
        "expiries": len(of),
        "bias_bp": round(float(np.median(gap)), 2),
        "median_bp": round(float(np.median(distance)), 2),
        "p95_bp": round(float(np.percentile(distance, 95)), 2),
        "worst_bp": round(float(distance.max()), 2),
        "parity_stderr_bp": round(float(np.median(error)), 2),
        "z_median": round(float(np.median(z)), 2),
        "z_p95": round(float(np.percentile(z, 95)), 2),
        "disputed": int(of[:, 3].sum()),
    }


def render(result: dict) -> str:
    names = ("period", "ccy", "days", "expiries", "bias_bp", "median_bp", "p95_bp", "worst_bp", "parity_stderr_bp",
             "z_median", "z_p95", "disputed")  # fmt: skip
    titles = ("period", "ccy", "days", "expiries", "parity − venue, median bp", "distance: median", "p95", "worst",
              "parity's own error", "z median", "z p95", "disputed")  # fmt: skip
    lines = [result["note"], "", "| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in result["rows"]]
    if result["disputed"]:
        lines += ["", "Furthest beyond its error (board, currency, days, parity − venue bp, error bp, pairs):"]
        lines += ["* " + ", ".join(map(str, one)) for one in result["disputed"]]
    return "\n".join(lines)
