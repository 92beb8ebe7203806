"""Spans and measures by OpenTelemetry. Imported where it is configured only: see `pulpo.runtime.telemetry`."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import context, metrics, trace
from opentelemetry.propagate import get_global_textmap
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pulpo import __version__
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AnyValue

    from pulpo.runtime.execution import Execution
    from pulpo.runtime.journal import Run

log = logging.getLogger("pulpo.telemetry")

SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
FLUSH = 1.5
"""Seconds that the end of a process waits for what has gathered to be sent."""
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds; what the semantic conventions ask of `http.server.request.duration`."""
WORK_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 3600)
"""Seconds; steps and runs may take long."""

_W3C = TraceContextTextMapPropagator()


def start(service: str, signals: tuple[str, ...], environ: Mapping[str, str]) -> Tracing:
    """Telemetry of this process: by providers that the application has set up, else by our own.

    Args:
        service: What the process is called where the environment does not say.
        signals: What is sent by our own providers: of `TRACES` and `METRICS`.
    Raises:
        ImportError: The SDK or the exporter is not installed.
        ValueError: A variable asks for what is not available.
    """
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    if "TRACES" in signals and isinstance(tracers, trace.ProxyTracerProvider):
        tracers = _tracer_provider(service, environ)
        trace.set_tracer_provider(tracers)
    if "METRICS" in signals and _is_proxy(meters):
        meters = _meter_provider(service, environ)
        metrics.set_meter_provider(meters)
    return Tracing(tracers, meters)


def provided() -> bool:
    """Whether the application has set up a provider of its own."""
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    return not isinstance(tracers, trace.ProxyTracerProvider) or not _is_proxy(meters)


def _is_proxy(meters: metrics.MeterProvider) -> bool:
    return type(meters).__name__ == "_ProxyMeterProvider"  # the API has no public name for it


def _tracer_provider(service: str, environ: Mapping[str, str]) -> trace.TracerProvider:
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an application may bring providers of its own
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter  # noqa: PLC0415 - as above

    provider = TracerProvider(resource=_resource(service, environ), shutdown_on_exit=False)
    if _exporter("TRACES", environ) == "console":
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _meter_provider(service: str, environ: Mapping[str, str]) -> metrics.MeterProvider:
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - an application may bring providers of its own
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415 - as above
        ConsoleMetricExporter,
        MetricExporter,
        PeriodicExportingMetricReader,
    )

    exporter: MetricExporter
    if _exporter("METRICS", environ) == "console":
        exporter = ConsoleMetricExporter()
    else:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - as above
            OTLPMetricExporter,
        )

        exporter = OTLPMetricExporter()
    reader = PeriodicExportingMetricReader(exporter)
    return MeterProvider([reader], resource=_resource(service, environ), shutdown_on_exit=False)


def _exporter(signal: str, environ: Mapping[str, str]) -> str:
    name = environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() or "otlp"
    if name not in ("otlp", "console"):
        raise ValueError(f"OTEL_{signal}_EXPORTER is {name!r}, and available are otlp, console and none")
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if name == "otlp" and protocol not in (None, "", "http/protobuf"):
        raise ValueError(f"OTLP by {protocol} is not available, only by http/protobuf")
    return name


def _resource(service: str, environ: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an application may bring providers of its own

    own: dict[str, str] = {"service.instance.id": str(uuid.uuid4())}
    given = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in given:
        own["service.name"] = service
    return Resource.create({name: value for name, value in own.items() if f"{name}=" not in given})


class Tracing:
    """Where spans and measures of requests, runs and steps go.

    Args:
        tracers: Makes spans.
        meters: Takes measures.
    """

    def __init__(self, tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> None:
        self._tracers, self._meters = tracers, meters
        self.tracer = tracers.get_tracer("pulpo", __version__, schema_url=SCHEMA)
        meter = meters.get_meter("pulpo", __version__, schema_url=SCHEMA)
        self.requests = _seconds(meter, "http.server.request.duration", "Time to answer a request.", REQUEST_BUCKETS)
        self._steps = _seconds(meter, "pulpo.step.duration", "Time of an operation at work, retries included.")
        self._runs = _seconds(meter, "pulpo.run.duration", "Time from a run's start to its end.")

    def carrier(self) -> dict[str, str] | None:
        """What carries the current span on: `traceparent`, and `tracestate` where there is one."""
        found: dict[str, str] = {}
        _W3C.inject(found)
        return found or None

    def beginning(self, flow: str) -> dict[str, str]:
        """What carries on the span that begins a run of a flow; where nothing is current, one that says so is made.

        A run without would be in another trace wherever it goes on.
        """
        if (carried := self.carrier()) is not None:
            return carried
        span = self.tracer.start_span(f"start {flow}", attributes={"pulpo.flow": flow})
        found: dict[str, str] = {}
        _W3C.inject(found, trace.set_span_in_context(span))
        span.end()
        return found

    def ids(self) -> dict[str, str]:
        """`trace_id` and `span_id` of the current span, for the log; empty without one."""
        return ids_of(trace.get_current_span())

    def failed(self, error: BaseException) -> None:
        """Note an error on the current span, which may go well yet."""
        trace.get_current_span().record_exception(error)

    def run(self, run: Run) -> RunSpan:
        """The span of a run that this process takes on, in the trace of whoever began it."""
        return RunSpan(self, run)

    def ran(self, run: Run, seconds: float) -> None:
        """Measure a run that has ended."""
        self._runs.record(seconds, {"pulpo.flow": run.name, "pulpo.run.state": run.state})

    async def step(self, execution: Execution, work: Callable[[], Awaitable[str]]) -> str:
        """Do the work of a step inside a span of its own; an undoing's is called `undo`."""
        step, operation = execution.step, execution.spec.name
        within: Context | None = execution.parent.context if execution.parent is not None else None
        known: dict[str, AnyValue] = {
            "pulpo.operation": operation,
            "pulpo.run.id": step.run,
            "pulpo.step.kind": step.kind,
            "pulpo.step.generation": step.generation,
        }
        if execution.flow is not None:
            known["pulpo.flow"] = execution.flow
        word = "undo" if step.kind == "compensation" else "step"
        span = self.tracer.start_span(f"{word} {operation}", within, attributes=known)
        token = context.attach(trace.set_span_in_context(span, within))
        began = time.perf_counter()
        try:
            return await work()
        except Exception as error:
            if execution.outcome == "failed":
                fail(span, error)
            elif isinstance(error, PulpoError):
                span.record_exception(error)
                span.set_attribute("error.type", error.code)
            raise
        finally:
            context.detach(token)
            measured: dict[str, AnyValue] = {
                "pulpo.operation": operation,
                "pulpo.step.kind": step.kind,
                "pulpo.step.outcome": execution.outcome,
            }
            self._steps.record(time.perf_counter() - began, measured)
            span.set_attributes({**measured, "pulpo.step.attempts": step.attempts})
            if step.already:
                span.set_attribute("pulpo.step.already", True)
            span.end()

    async def flush(self) -> None:
        """Send what has gathered, in a thread that is left behind where the collector does not answer in time."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def work() -> None:
            try:
                for provider in (self._tracers, self._meters):
                    if (flush := getattr(provider, "force_flush", None)) is not None:
                        flush(int(FLUSH * 1000))
            except Exception as error:  # noqa: BLE001 - a collector that is away is not the application's failure
                log.warning("telemetry could not be sent: %s", error)
            try:
                loop.call_soon_threadsafe(_settle, done)
            except RuntimeError:  # nobody waits any more: the loop is closed
                return

        threading.Thread(target=work, name="pulpo-telemetry", daemon=True).start()
        try:
            await asyncio.wait_for(done, FLUSH)
        except TimeoutError:
            log.warning("telemetry was not sent within %s s; the rest is lost", FLUSH)


class RunSpan:
    """A run as long as this process holds it; of a direct call only the context, whose one step says all.

    Attributes:
        context: What steps begin in.
    """

    def __init__(self, tracing: Tracing, run: Run) -> None:
        self._tracing = tracing
        # without a trace of its own a run begins one: what happens to be current is another's
        self.context: Context = _W3C.extract(run.trace or {}, context.Context())
        self._span: Span | None = None
        self._began = time.perf_counter()
        if run.kind == "flow":
            known: dict[str, AnyValue] = {
                "pulpo.flow": run.name,
                "pulpo.run.id": run.id,
                "pulpo.run.recoveries": run.recoveries,
            }
            if run.retry_of is not None:
                known["pulpo.run.retry_of"] = run.retry_of
            self._span = tracing.tracer.start_span(f"run {run.name}", self.context, attributes=known)
            self.context = trace.set_span_in_context(self._span, self.context)

    def end(self, run: Run) -> None:
        """This process lets go of the run, which has ended, waits, or goes on elsewhere."""
        span, self._span = self._span, None
        if span is None:
            return
        span.set_attribute("pulpo.run.state", run.state)
        if run.error is not None and run.state in ("failed", "compensated"):
            span.set_attribute("error.type", str(run.error["code"]))
            span.set_status(Status(StatusCode.ERROR, str(run.error["detail"])))
        span.end()
        if run.ended:
            self._tracing.ran(run, time.perf_counter() - self._began)


def fail(span: Span, error: BaseException) -> None:
    """Say on a span that it failed, and of what."""
    span.record_exception(error)
    span.set_attribute("error.type", error.code if isinstance(error, PulpoError) else type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def ids_of(span: Span) -> dict[str, str]:
    """A span's ids in hexadecimal."""
    known = span.get_span_context()
    if not known.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(known.trace_id), "span_id": trace.format_span_id(known.span_id)}


def extracted(headers: Mapping[str, str]) -> Context:
    """The context that a request came in, by the propagators of `OTEL_PROPAGATORS` (W3C by default)."""
    propagator = get_global_textmap()
    if propagator.fields.isdisjoint(headers):
        return context.Context()  # most requests carry nothing, and looking for it takes longer than finding nothing
    return propagator.extract(headers, context.Context())


def _seconds(
    meter: metrics.Meter, name: str, description: str, buckets: tuple[float, ...] = WORK_BUCKETS
) -> metrics.Histogram:
    return meter.create_histogram(
        name, unit="s", description=description, explicit_bucket_boundaries_advisory=list(buckets)
    )


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
