from __future__ import annotations

import builtins
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from derivasys.telemetry.traces import Cycle, NoTracer, TraceError, open_tracer, trace_id_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CYCLE = Cycle("BTC", 7, 1_700_000_000_000_000_000, {"forward": 1.0, "fit": 2.5}, PARENT)


@pytest.fixture
def collector():
    """A collector on loopback; yields its address and the requests it took."""
    taken: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            taken.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_cycle_arrives_as_a_trace_with_a_span_for_each_stage(collector):
    address, taken = collector
    tracer = open_tracer(address, "calibrator", "dev", "1.2.3")
    trace_id = tracer.cycle(CYCLE)
    tracer.close()
    assert trace_id == trace_id_of(PARENT)
    (of_resource,) = [one for request in taken for one in request.resource_spans]
    resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert resource["service.name"] == "derivasys-calibrator"
    assert resource["service.version"] == "1.2.3"
    spans = {span.name: span for scope in of_resource.scope_spans for span in scope.spans}
    assert set(spans) == {"cycle", "forward", "fit"}
    assert {span.trace_id.hex() for span in spans.values()} == {trace_id}
    assert spans["cycle"].parent_span_id.hex() == "b7ad6b7169203331"
    assert spans["fit"].parent_span_id == spans["cycle"].span_id
    assert spans["fit"].end_time_unix_nano - spans["fit"].start_time_unix_nano == 2_500_000
    assert spans["cycle"].end_time_unix_nano == CYCLE.ended_ns
    told = {each.key: each.value for each in spans["cycle"].attributes}
    assert told["derivasys.version"].int_value == 7
    assert told["derivasys.ccy"].string_value == "BTC"


def test_without_an_endpoint_cycles_still_have_ids():
    tracer = open_tracer("", "up", "dev", "x")
    assert isinstance(tracer, NoTracer)
    assert tracer.cycle(CYCLE) == "0af7651916cd43dd8448eb211c80319c"
    alone = Cycle("BTC", 1, 0, {})
    assert len(tracer.cycle(alone)) == 32
    assert tracer.cycle(alone) != tracer.cycle(alone)


@pytest.mark.parametrize("text", ["", "x", "00-0-0-0", "00-" + "0" * 32 + "-1-01", "00-" + "G" * 32 + "-1-01"])
def test_what_is_no_traceparent_has_no_id(text):
    assert trace_id_of(text) == ""


def test_a_missing_sdk_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("opentelemetry"):
            raise ImportError(name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TraceError, match=r"derivasys\[otlp\]"):
        open_tracer("http://127.0.0.1:1", "up", "dev", "x")
