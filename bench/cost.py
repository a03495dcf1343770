"""What a month costs at 100, 1,000 and 50,000 viewers, from bytes measured now and prices written below.

Prices are list prices of eu-west-2 and of CloudFront's cheapest published tiers, in US dollars, without free tiers or
discounts. They change: correct them here, and the table in docs/cost.md with them.
"""

from __future__ import annotations

import math
import sys
import tomllib
from pathlib import Path

import viewers as measured

HOURS = 730
VIEWERS = (100, 1_000, 50_000)
EGRESS_USD_PER_GB = (
    (10e3, 0.085),
    (40e3, 0.080),
    (100e3, 0.060),
    (350e3, 0.040),
    (524e3, 0.030),
    (4e6, 0.025),
    (math.inf, 0.020),
)
"""CloudFront to the internet, Europe and the United States: GB of a tier, price of each of its GB."""
PRICES = {
    "vcpu_h": 0.03725,
    "gb_h": 0.00409,
    "alb_h": 0.02646,
    "lcu_h": 0.0084,
    "nat_h": 0.050,
    "nat_gb": 0.050,
    "endpoint_h": 0.011,
    "kafka.t3.small": 0.0502,
    "kafka.m7g.large": 0.2142,
    "broker_gb_month": 0.116,
    "metric": 0.30,
    "alarm": 0.10,
    "log_gb": 0.5985,
    "secret": 0.40,
    "key": 1.00,
    "dashboard": 3.00,
}
ENDPOINTS = 5
ALARMS = {"dev": 51, "prod": 95}
"""Series that alarms look at: each is billed."""
METRICS = {"dev": 77, "prod": 138}
"""Series that services emit; both are compared with the templates in infra/cdk/tests/test_alarms.py."""
TLS_SHARE = 1.03
LCU_GB_H = 1.0
CONNECTIONS_PER_LCU = 3000


def egress_usd(gigabytes: float) -> float:
    """Return the price of a month's bytes to the internet."""
    total, left = 0.0, gigabytes
    for size, price in EGRESS_USD_PER_GB:
        taken = min(left, size)
        total += taken * price
        left -= taken
        if left <= 0:
            break
    return total


def base_usd(name: str) -> dict[str, float]:
    """Return what an environment costs without any viewer, by part."""
    path = Path(__file__).resolve().parents[1] / "infra" / "cdk" / "config" / f"{name}.toml"
    config = tomllib.loads(path.read_text())
    zones, stream, p = len(config["availability_zones"]), config["stream"], PRICES
    tasks = 0.0
    for service, count in (
        ("connector", len(config["venues"])), ("calibrator", config["services"]["calibrator"]["tasks_min"]),
        ("recorder", 2), ("gateway", config["services"]["gateway"]["tasks_min"]),
    ):  # fmt: skip
        tasks += count * task_usd(config["services"][service])
    return {
        "tasks": tasks,
        "kafka": stream["brokers"] * (HOURS * p[stream["broker_type"]] + stream["volume_gib"] * p["broker_gb_month"]),
        "network": HOURS
        * (p["alb_h"] + p["nat_h"] * (1 if name == "dev" else zones) + ENDPOINTS * zones * p["endpoint_h"]),
        "observing": METRICS[name] * p["metric"] + ALARMS[name] * p["alarm"] + 30 * p["log_gb"] + p["dashboard"],
        "keys": p["key"] + 3 * p["secret"],
    }


def task_usd(size: dict) -> float:
    """Return a month of one task."""
    return HOURS * (size["cpu"] / 1024 * PRICES["vcpu_h"] + size["memory"] / 1024 * PRICES["gb_h"])


def viewers_usd(count: int, bytes_per_s: float, hours: float = HOURS) -> dict[str, float]:
    """Return what `count` viewers at once, `hours` a month, add to production."""
    path = Path(__file__).resolve().parents[1] / "infra" / "cdk" / "config" / "prod.toml"
    gateway = tomllib.loads(path.read_text())["services"]["gateway"]
    rate = count * bytes_per_s * TLS_SHARE
    gigabytes = rate * hours * 3600 / 1e9
    tasks = max(
        math.ceil(count / gateway["connections_per_task"]), math.ceil(rate / gateway["egress_bytes_per_s_per_task"])
    )
    more = max(0, tasks - gateway["tasks_min"]) * task_usd(gateway)
    units = max(rate * 3600 / 1e9 / LCU_GB_H, count / CONNECTIONS_PER_LCU)
    return {
        "GB": gigabytes, "gateways": tasks, "egress": egress_usd(gigabytes), "gateway tasks": more,
        "balancer": units * hours * PRICES["lcu_h"],
    }  # fmt: skip


def arithmetic(rows: list[dict]) -> list[dict]:
    """Return a row for each kind of viewer and number of them."""
    base = sum(base_usd("prod").values())
    out = []
    for row in rows:
        for count in VIEWERS:
            added = viewers_usd(count, row["bytes_per_s"])
            usd = added["egress"] + added["gateway tasks"] + added["balancer"]
            out.append({**row, "viewers": count, **added, "usd": base + usd, "usd_per_viewer": (base + usd) / count})
    return out


def run() -> dict:
    seen = measured.run()
    kept = [row for row in seen["viewers"] if row["compressed"] or not row["asked_compression"]]
    return {"seen": seen, "base": {name: base_usd(name) for name in ("dev", "prod")}, "rows": arithmetic(kept)}


def render(result: dict) -> str:
    lines = [measured.render(result["seen"]), ""]
    for name, parts in result["base"].items():
        told = ", ".join(f"{part} {usd:,.0f}" for part, usd in parts.items())
        lines.append(f"{name} without viewers: ${sum(parts.values()):,.0f} a month ({told})")
    lines += [
        "",
        "| channels | rate, ms | compressed | viewers | TB a month | gateways | egress $ | balancer $ | more gateways $ | all $ | $ a viewer |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['channels']} | {row['rate_ms']} | {'yes' if row['compressed'] else 'no'} | {row['viewers']:,} "
            f"| {row['GB'] / 1e3:,.1f} | {row['gateways']} | {row['egress']:,.0f} | {row['balancer']:,.0f} "
            f"| {row['gateway tasks']:,.0f} | {row['usd']:,.0f} | {row['usd_per_viewer']:,.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render(run()) + "\n")
