"""A collector of OpenTelemetry for tests: OTLP over HTTP, decoded by the exporter's own messages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span:
    """A span as it arrived: ids in hexadecimal, attributes as a dict."""

    def __init__(self, sent: Any, resource: dict[str, Any]) -> None:
        self.name, self.kind, self.resource = sent.name, sent.kind, resource
        self.trace, self.id, self.parent = sent.trace_id.hex(), sent.span_id.hex(), sent.parent_span_id.hex()
        self.attributes = values(sent.attributes)
        self.failed = sent.status.code == 2
        self.events = [(event.name, values(event.attributes)) for event in sent.events]
        self.state = sent.trace_state


def values(pairs: Any) -> dict[str, Any]:
    """Attributes as a dict."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Collector:
    """Listens on a free port and keeps what arrives."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: dict[str, list[tuple[dict[str, Any], int]]] = {}
        self._came = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait(self, enough: Callable[[list[Span]], Any], seconds: float = 15.0) -> list[Span]:
        """The spans, once there are enough of them."""
        with self._came:
            assert self._came.wait_for(lambda: enough(self.spans), seconds), [span.name for span in self.spans]
            return list(self.spans)

    def named(self, name: str) -> list[Span]:
        """The spans of this name that have come."""
        return [span for span in self.spans if span.name == name]

    def _take(self, path: str, body: bytes) -> None:
        with self._came:
            if path == "/v1/traces":
                for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                    resource = values(group.resource.attributes)
                    self.spans += [Span(span, resource) for scope in group.scope_spans for span in scope.spans]
            elif path == "/v1/metrics":
                for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
                        points = metric.histogram.data_points
                        self.metrics[metric.name] = [(values(point.attributes), point.count) for point in points]
            self._came.notify_all()
