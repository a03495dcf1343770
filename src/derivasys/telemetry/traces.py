"""Traces of cycles: one trace a calibrated currency, with a span for each stage, exportable by OTLP.

Spans are made after the cycle from times that were measured anyway, never one for each message. OpenTelemetry's SDK is
optional (`pip install derivasys[otlp]`); without it, or without an endpoint, cycles still have trace ids for the logs.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

from msgspec import Struct

QUEUE_MAX = 2048
"""Spans that wait for the exporter; further ones are dropped by the SDK, which counts them."""


class TraceError(RuntimeError):
    """Traces were asked for and cannot be had; the message says what is missing."""


class Cycle(Struct, frozen=True):
    """One currency's cycle. Times in ns since the epoch, stages in the order in which they ran, ms each."""

    ccy: str
    version: int
    ended_ns: int
    stages_ms: dict[str, float]
    parent: str = ""
    """W3C traceparent of the newest quote, where it came with one."""


class Tracer(Protocol):
    """Where traces go."""

    def cycle(self, cycle: Cycle) -> str:
        """Note a cycle and return its trace id, 32 hexadecimal digits."""

    def close(self) -> None:
        """Send what waits."""


class NoTracer:
    """Gives ids and keeps nothing."""

    def cycle(self, cycle: Cycle) -> str:
        return trace_id_of(cycle.parent) or os.urandom(16).hex()

    def close(self) -> None:
        pass


def trace_id_of(traceparent: str) -> str:
    """Return the trace id in a W3C traceparent, '' when it holds none (Trace Context, section 3.2)."""
    parts = traceparent.split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or set(parts[1]) == {"0"}:
        return ""
    return parts[1] if all(digit in "0123456789abcdef" for digit in parts[1]) else ""


class OtlpTracer:
    """Sends spans to an OpenTelemetry collector by OTLP over HTTP, from a thread of its own."""

    def __init__(self, endpoint: str, service: str, environment: str, build: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise TraceError(f"otlp_endpoint is set, but {error.name} is missing: install derivasys[otlp]") from None
        names = {"service.name": f"derivasys-{service}", "service.version": build}
        resource = Resource.create({**names, "deployment.environment.name": environment})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE_MAX))
        self._tracer = self._provider.get_tracer("derivasys")

    def cycle(self, cycle: Cycle) -> str:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": cycle.parent}) if cycle.parent else None
        start_ns = cycle.ended_ns - int(sum(cycle.stages_ms.values()) * 1e6)
        attributes: dict[str, Any] = {"derivasys.ccy": cycle.ccy, "derivasys.version": cycle.version}
        span = self._tracer.start_span("cycle", context, start_time=start_ns, attributes=attributes)
        inside = trace.set_span_in_context(span)
        at_ns = start_ns
        for stage, ms in cycle.stages_ms.items():
            child = self._tracer.start_span(stage, inside, start_time=at_ns)
            at_ns += int(ms * 1e6)
            child.end(at_ns)
        span.end(cycle.ended_ns)
        return f"{span.get_span_context().trace_id:032x}"

    def close(self) -> None:
        self._provider.shutdown()


def open_tracer(endpoint: str, service: str, environment: str, build: str) -> Tracer:
    """Return the tracer for an endpoint ('' for none). Raises TraceError."""
    return OtlpTracer(endpoint, service, environment, build) if endpoint else NoTracer()
