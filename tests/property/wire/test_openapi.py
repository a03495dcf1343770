"""The REST interface against its own OpenAPI document: no 5xx, no reply that the document does not have."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, smile_board
from tests.unit.publish.test_rest import World

from derivasys.pipeline import Pipeline
from derivasys.publish.openapi import document
from derivasys.wire.state import state_of

STATUS = (
    b'{"type":"status","schema":1,"ts":1,"available_ccys":["BTC"],"source":{"kind":"live","label":"x"},"venues":[],'
    b'"latency_ms":{},"clients":0,"build":"1"}'
)
OPERATIONS = [(path, method) for path, methods in document("1")["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("site"))
    pipeline = Pipeline()
    for event in (*smile_board(), *smile_board(expiry=WEEK_MS + 30 * DAY_MS)):
        pipeline.apply(event)
    world.gateway.publish(state_of(pipeline.drain(NOW_NS)[0]))
    world.gateway.publish_status(STATUS)
    return schemathesis.openapi.from_asgi("/openapi.json", world.http.app)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_reply_is_documented(api, path, method):
    generated = api[path][method.upper()].as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE) | api[path][
        method.upper()
    ].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @settings(
        max_examples=60 if path == "/price" else 12, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(generated)
    def ask(case):
        case.call_and_validate()

    ask()
