"""Quotes to certified nodes: implied vols, choice of quotes, joint constrained fit, certificate, delta nodes; one thread.

Three kinds of boards: a clean made-up one of 1,440 quotes and 12 expiries (free of arbitrage before noise inside the
spread), and recorded ones, which practically never are: cold (nothing known) and warm (the last cycle's parameters, the
quotes moved by up to a tenth of a spread). Reports times, and what the certificate costs in quotes inside bid-ask.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from _recorded import RecordedBoard, boards, note
from derivasys.analytics import ssvi, svi
from derivasys.analytics.arbitrage import certify
from derivasys.analytics.black import black_price
from derivasys.analytics.deltas import delta_nodes
from derivasys.analytics.implied_vol import implied_vol
from derivasys.fit.constrained import BoardFit, FitState, fit_board
from derivasys.fit.quotes import QuoteSelection, group_by_expiry, select_quotes, twin_rows
from derivasys.messages import Forward, Quote

ROUNDS = 9
TARGETS = np.tile(np.arange(0.05, 0.41, 0.05), 2)
CALLS = np.repeat([True, False], 8)


@dataclass
class Rows:
    """A board's quotes, one row each; prices in quote currency."""

    slot: np.ndarray
    tau: np.ndarray  # of each expiry
    forward: np.ndarray
    strike: np.ndarray
    is_call: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    tick: np.ndarray
    twin: np.ndarray


def synthetic() -> Rows:
    """Return 1,440 two-sided quotes on 12 SSVI slices, one to two vol points wide, mid moved within the spread."""
    rng = np.random.default_rng(3)
    tau = np.geomspace(1 / 365, 1.0, 12)
    slot = np.repeat(np.arange(12), 120)
    w_atm = 0.36 * tau
    scale = np.sqrt(w_atm)[slot]
    k = np.tile(np.repeat(np.linspace(-2.2, 2.2, 60), 2), 12) * scale
    w = ssvi.total_variance(k, w_atm=w_atm[slot], psi=1.1 * scale, rho=-0.25)
    iv = np.sqrt(w / tau[slot])
    spread = 0.01 + 0.005 * np.abs(k) / scale
    middle = iv + 0.3 * spread * rng.uniform(-1, 1, k.size)
    is_call = np.tile([True, False], 720)
    forward = np.full(k.size, 1e5)
    strike = forward * np.exp(k)
    bid, ask = (black_price(forward, strike, tau[slot], middle + side * spread / 2, is_call) for side in (-1.0, 1.0))
    return Rows(slot, tau, forward, strike, is_call, bid, ask, np.full(k.size, 1e-9), twin_rows(slot, strike, is_call))


def recorded(board: RecordedBoard) -> Rows:
    """Return a recorded board's rows."""
    price = {event.expiry: event.price for event in board.events if isinstance(event, Forward)}
    quotes = [event for event in board.events if isinstance(event, Quote)]
    expiry = np.array([quote.contract.expiry for quote in quotes])
    when, slot = np.unique(expiry, return_inverse=True)
    forward = np.array([price[e] for e in expiry.tolist()])
    strike = np.array([quote.contract.strike for quote in quotes])
    is_call = np.array([quote.contract.type == "C" for quote in quotes])
    bid, ask = (
        np.array([np.nan if value is None else value for value in side]) * forward
        for side in ([q.bid for q in quotes], [q.ask for q in quotes])
    )
    tau = (when * 1_000_000 - board.now_ns) / (365 * 86_400 * 10**9)
    return Rows(slot, tau, forward, strike, is_call, bid, ask, 1e-4 * forward, twin_rows(slot, strike, is_call))


def cycle(rows: Rows, last: BoardFit | None) -> tuple[BoardFit, QuoteSelection, np.ndarray, dict[str, float]]:
    """Return the fit, the choice of quotes, k, and the microseconds of each stage."""
    laps = {}
    begin = time.perf_counter_ns()

    def lap(name: str) -> None:
        nonlocal begin
        now = time.perf_counter_ns()
        laps[name] = (now - begin) / 1e3
        begin = now

    tau = rows.tau[rows.slot]
    k = np.log(rows.strike / rows.forward)
    bid_iv, bid_status = implied_vol(rows.bid, rows.forward, rows.strike, tau, rows.is_call)
    ask_iv, ask_status = implied_vol(rows.ask, rows.forward, rows.strike, tau, rows.is_call)
    lap("implied_vol")
    s = select_quotes(
        k=k, tau=tau, is_call=rows.is_call, twin=rows.twin, bid=rows.bid, ask=rows.ask, tick=rows.tick, bid_iv=bid_iv,
        ask_iv=ask_iv, bid_status=bid_status, ask_status=ask_status, age_s=0.0,
    )  # fmt: skip
    offsets, used = group_by_expiry(s, rows.slot, k, rows.tau.size)
    lap("choice")
    start, free = (None, None) if last is None else (last.params, last.free.start)
    fit = fit_board(offsets, k[used], s.w[used], s.weight[used], s.w_bid[used], s.w_ask[used], rows.tau, start, free)
    lap("fit_and_certificate")
    delta_nodes(fit.params, rows.tau, TARGETS, CALLS)
    lap("nodes")
    laps["all"] = sum(laps.values())
    return fit, s, k, laps


def moved(rows: Rows, seed: int) -> Rows:
    """Return the rows with every quote moved by up to a tenth of its spread, both sides together."""
    rng = np.random.default_rng(seed)
    shift = 0.1 * (rows.ask - rows.bid) * rng.uniform(-1, 1, rows.bid.size)
    return Rows(**{**vars(rows), "bid": rows.bid + shift, "ask": rows.ask + shift})


def inside(rows: Rows, params: np.ndarray, s: QuoteSelection, k: np.ndarray) -> tuple[int, int]:
    """Return (quotes whose bid and ask enclose the slice, quotes) of the two-sided out-of-the-money quotes."""
    a, b, rho, m, sigma = params[rows.slot].T
    w = svi.total_variance(k, a=a, b=b, rho=rho, m=m, sigma=sigma)
    judged = np.isfinite(s.w_bid + s.w_ask) & (s.w_ask >= s.w_bid) & np.where(rows.is_call, k >= 0, k < 0)
    judged &= (rows.tau > 0)[rows.slot]
    return int(((w >= s.w_bid) & (w <= s.w_ask))[judged].sum()), int(judged.sum())


def timed(rows: Rows) -> tuple[dict[str, float], dict[str, float], BoardFit, QuoteSelection, np.ndarray]:
    """Return (cold laps, warm laps, cold fit, choice, k); medians over the rounds."""
    fit, s, k, _ = cycle(rows, None)
    cold, warm = [], []
    for turn in range(ROUNDS):
        cold.append(cycle(rows, None)[3])
        warm.append(cycle(moved(rows, turn), fit)[3])
    cold_median, warm_median = (
        {name: float(np.median([lap[name] for lap in laps])) for name in laps[0]} for laps in (cold, warm)
    )
    return cold_median, warm_median, fit, s, k


def run() -> dict:
    """Return microseconds by stage and the cost of certification."""
    rows = synthetic()
    cold, warm, fit, *_ = timed(rows)
    clean = {
        "quotes": int(rows.bid.size), "certified": bool(fit.certificate.ok.all()), "joint_iterations": fit.iterations,
        "inside_share": float(np.average(fit.inside_share, weights=fit.free.quotes)), "us_cold": cold, "us_warm": warm,
    }  # fmt: skip
    begin = time.perf_counter_ns()
    for _ in range(50):
        certify(fit.params)
    clean["us_certificate_with_display"] = (time.perf_counter_ns() - begin) / 50e3
    found = []
    for board in boards():
        rows = recorded(board)
        cold, warm, fit, s, k = timed(rows)
        published = fit.state != FitState.REJECTED
        free, kept = inside(rows, fit.free.params, s, k), inside(rows, fit.params, s, k)
        found.append(
            {
                "board": f"{board.ccy} {board.name}", "expiries": int(rows.tau.size),
                "quotes": free[1], "rejected": int((~published & (fit.free.quotes > 0)).sum()),
                "certified": bool(fit.certificate.ok[published].all()), "inside_free": free[0], "inside": kept[0],
                "free_certified": bool(certify(svi.round_published(fit.free.params)).ok.all()),
                "us_cold": cold["fit_and_certificate"], "us_warm": warm["fit_and_certificate"],
                "us_cold_all": cold["all"], "us_warm_all": warm["all"], "joint_iterations": fit.iterations,
            }
        )  # fmt: skip
    return {"note": note(), "clean": clean, "recorded": found, "summary": summary(found)}


def summary(found: list[dict]) -> dict:
    """Return the recorded boards in one row."""
    column = {name: np.array([row[name] for row in found]) for name in found[0] if name != "board"}
    share = column["inside"] / column["inside_free"]
    return {
        "boards": len(found),
        "boards_certified": int(column["certified"].sum()),
        "boards_whose_free_fit_is_free_of_arbitrage": int(column["free_certified"].sum()),
        "expiries_rejected": int(column["rejected"].sum()),
        "inside_share_free": float(column["inside_free"].sum() / column["quotes"].sum()),
        "inside_share": float(column["inside"].sum() / column["quotes"].sum()),
        "kept_overall": float(column["inside"].sum() / column["inside_free"].sum()),
        "kept_worst_board": float(share.min()),
        **{
            f"{name}_{label}": float(np.percentile(column[name], percent))
            for name in ("us_cold", "us_warm", "us_cold_all", "us_warm_all")
            for label, percent in (("median", 50), ("p95", 95), ("max", 100))
        },
    }


def render(result: dict) -> str:
    """Return a few lines."""
    clean, all_ = result["clean"], result["summary"]
    return "\n".join(
        [
            result["note"],
            f"clean board, {clean['quotes']} quotes: {clean['us_cold']['all']:.0f} us cold, "
            f"{clean['us_warm']['all']:.0f} us warm, certified {clean['certified']}",
            "  by stage, warm: "
            + ", ".join(f"{name} {value:.0f}" for name, value in clean["us_warm"].items() if name != "all"),
            f"recorded boards: {all_['boards_certified']} of {all_['boards']} certified "
            f"({all_['boards_whose_free_fit_is_free_of_arbitrage']} by the free fit), "
            f"{all_['expiries_rejected']} expiries rejected",
            f"  quotes inside bid-ask: free {all_['inside_share_free']:.2%}, certified {all_['inside_share']:.2%}, "
            f"kept {all_['kept_overall']:.2%}, worst board {all_['kept_worst_board']:.2%}",
            f"  fit and certificate, us: cold {all_['us_cold_median']:.0f} (p95 {all_['us_cold_p95']:.0f}), "
            f"warm {all_['us_warm_median']:.0f} (p95 {all_['us_warm_p95']:.0f})",
        ]
    )
