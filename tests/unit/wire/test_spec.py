"""SPEC.md against the tests, and the fixtures that Python and TypeScript share."""

import json
import re
from pathlib import Path

import numpy as np
import orjson
import pytest

from derivasys.analytics import svi
from derivasys.analytics.black import black_price, greeks
from derivasys.client.replica import Replica
from derivasys.wire import messages as m
from derivasys.wire.session import Send, Session, Snapshot
from derivasys.wire.table import merge

ROOT = Path(__file__).parents[3]
WIRE = Path(m.__file__).parent
RULE = re.compile(r"\[W(\d+)\]")


def cases(name: str) -> list:
    return json.loads((WIRE / "fixtures" / name).read_text(encoding="utf-8"))["cases"]


def named(name: str):
    return [pytest.param(case, id=f"{case['rule']}: {case['name']}") for case in cases(name)]


def rules_in_tests() -> dict[str, set[str]]:
    """Where each rule is named: by a test, or by a case of a fixture that tests of both languages read."""
    places: dict[str, set[str]] = {}
    for file in (*ROOT.glob("tests/**/*.py"), *ROOT.glob("clients/typescript/test/*.ts")):
        for number in RULE.findall(file.read_text(encoding="utf-8")):
            places.setdefault(f"W{number}", set()).add(file.name)
    for fixture in (WIRE / "fixtures").glob("*.json"):
        for case in cases(fixture.name):
            places.setdefault(case["rule"], set()).add(fixture.name)
    return places


def test_every_rule_has_a_test_and_every_test_a_rule():
    rules = [f"W{number}" for number in RULE.findall((WIRE / "SPEC.md").read_text(encoding="utf-8"))]
    assert rules == [f"W{number}" for number in range(1, len(rules) + 1)], "numbered in order, once each"
    assert set(rules_in_tests()) == set(rules)


def test_typescript_reads_every_shared_fixture():
    read = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("clients/typescript/test/*.ts"))
    for fixture in (WIRE / "fixtures").glob("*.json"):
        assert f"'{fixture.name}'" in read


@pytest.mark.parametrize("case", named("merge-patch.json"))
def test_merge_patch(case):
    assert merge(case["target"], case["patch"]) == case["result"]


@pytest.mark.parametrize("case", named("streams.json"))
def test_streams(case):
    replica = Replica("BTC", ("surface", "levels", "tenors", "through", "fit"))
    asked = [request for message in case["messages"] for request in replica.receive(orjson.dumps(message))]
    assert asked == [{"type": "resync", "channel": channel, "ccy": "BTC"} for channel in case["resync"]]
    assert replica.states == case["held"]
    assert sorted(replica.awaiting) == case["awaiting"]


@pytest.mark.parametrize("case", named("smiles.json"))
def test_smiles(case):
    params, k, tau = case["params"], case["k"], case["tau"]
    w = float(svi.total_variance(k, **params))
    vol = np.sqrt(w / tau)
    assert w == pytest.approx(case["total_variance"], rel=1e-12)
    assert 100 * vol == pytest.approx(case["vol"], rel=1e-12)
    assert float(svi.g(k, **params)) == pytest.approx(case["g"], rel=1e-9)
    assert float(svi.density(k, **params)) == pytest.approx(case["density"], rel=1e-9)
    assert float(black_price(1.0, np.exp(k), tau, vol, True)) == pytest.approx(case["call"], rel=1e-9)
    deltas = greeks(1.0, np.exp(k), tau, vol, True)
    assert float(deltas.delta_forward) == pytest.approx(case["forward_delta"], rel=1e-9)
    assert float(deltas.delta_premium_adjusted) == pytest.approx(case["premium_adjusted_delta"], rel=1e-9)


@pytest.mark.parametrize("case", named("requests.json"))
def test_requests(case):
    session = Session(["BTC"])
    before = (session.ccys, session.channels, session.variant)
    actions = session.receive(orjson.dumps(case["send"]), ["BTC", "ETH"], 7)
    if "snapshots" in case:
        assert actions == [Snapshot(channel, ccy) for channel, ccy in case["snapshots"]]
        return
    (action,) = actions
    assert isinstance(action, Send)
    answer = orjson.loads(action.payload)
    assert (session.ccys, session.channels, session.variant) == before
    if "pong" in case:
        assert (answer["type"], answer["id"]) == ("pong", case["pong"])
    else:
        assert (answer["type"], answer["code"], answer["path"]) == ("error", *case["error"].values())
