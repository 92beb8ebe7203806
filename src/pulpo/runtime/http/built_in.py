"""The addresses of the OpenAPI document that every application has: flows, runs, events, and what is about itself."""

from __future__ import annotations

from collections.abc import Iterable

from pulpo.runtime.http import parameters
from pulpo.runtime.http.parts import JSON, Parts
from pulpo.runtime.http.schemas import ref
from pulpo.runtime.refusals import Refusal
from pulpo.spec import Json

ASK = ("PULPO603", "PULPO606", "PULPO610", "PULPO507", "PULPO512", "PULPO612")
"""What whoever reads something may hear."""
_ONE = ("PULPO404", "PULPO604")
_BODY = (*ASK, "PULPO601", "PULPO602", "PULPO607", "PULPO608", "PULPO505")
_ACTS = {
    "cancel": ("Cancel a run", "Cancelling"),
    "retry": ("Retry a run", "Retrying"),
    "wake": ("Try a waiting run now", "Waking"),
}


def run_paths(parts: Parts, own: Iterable[Refusal]) -> dict[str, Json]:
    """Flows and runs; `own` is what operations refuse with, which who runs one again may hear."""
    plan, run = ref("Plan"), ref("Run")
    plans = {"type": "array", "items": plan}
    runs = {"type": "array", "items": run}
    paths: dict[str, Json] = {
        "/flows": {"get": _plain(parts, "list_flows", "List the flows", "flows", plans, ASK)},
        "/flows/{name}": {
            "parameters": [_in_path("name")],
            "get": _plain(parts, "get_flow", "Get a flow's plan", "flows", plan, (*ASK, *_ONE)),
        },
        "/runs": {
            "get": {
                "operationId": "list_runs",
                "summary": "List runs, the newest first",
                "tags": ["runs"],
                "parameters": [parameters.filters(parameters.RUNS), parameters.touched(), *parameters.paging()],
                "responses": parts.answers({200: runs}, ASK, headers=("Link", "X-Total-Count")),
            }
        },
        "/runs/{id}": {
            "parameters": [_in_path("id")],
            "get": _plain(parts, "get_run", "Get a run with its steps", "runs", run, (*ASK, *_ONE)),
        },
        "/runs/{id}/events": {
            "parameters": [_in_path("id")],
            "get": _events(parts, "run_events", "Watch a run until it ends", "runs", (*ASK, *_ONE, "PULPO509")),
        },
    }
    codes = (*_BODY, *_ONE, "PULPO406", "PULPO407", "PULPO408", "PULPO414")
    called = (*codes, "PULPO401", "PULPO402", "PULPO405", "PULPO409", "PULPO411", "PULPO413", "PULPO415", "PULPO417")
    for act, (summary, body) in _ACTS.items():
        paths[f"/runs/{{id}}/{act}"] = {
            "parameters": [_in_path("id")],
            "post": {
                "operationId": f"{act}_run",
                "summary": summary,
                "tags": ["runs"],
                "requestBody": parts.body(ref(body)),
                "responses": parts.answers(
                    {202: run},
                    called if act == "retry" else codes,
                    headers=("Location",),
                    own=own if act == "retry" else None,
                ),
            },
        }
    return paths


def run_links() -> dict[str, Json]:
    """From a run that was started to what can be done with it."""
    by_id = {"id": "$response.body#/id"}
    return {name: {"operationId": f"{name}_run", "parameters": by_id} for name in ("get", *_ACTS)}


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def system_paths(parts: Parts) -> dict[str, Json]:
    """What the application says about itself."""
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    ready = {
        "type": "object",
        "properties": {"status": {"enum": ["ok", "down"]}, "down": {"type": "array", "items": {"type": "string"}}},
        "required": ["status", "down"],
    }
    readyz = _plain(parts, "readyz", "Whether requests can be served", "system", ready, ("PULPO606",))
    readyz["responses"]["503"] = {"description": "Something is down", "content": {JSON: {"schema": ready}}}
    text = {"application/openmetrics-text": {"schema": {"type": "string"}}}
    metrics = _plain(parts, "metrics", "Counters, as OpenMetrics", "system", {}, ("PULPO606", "PULPO507", "PULPO512"))
    metrics["responses"]["200"]["content"] = text
    anything = {"type": "object", "additionalProperties": True}
    meta = {**anything, "properties": {"version": {"type": "integer"}}, "required": ["version"]}
    return {
        "/events": {"get": _events(parts, "events", "Watch everything", "system", (*ASK, "PULPO509"))},
        "/meta": {"get": _plain(parts, "meta", "The application, described", "system", meta, ASK)},
        "/openapi.json": {"get": _plain(parts, "openapi", "This document", "system", anything, ("PULPO606", *ASK[2:]))},
        "/livez": {"get": _plain(parts, "livez", "Whether the process lives", "system", status, ("PULPO606",))},
        "/readyz": {"get": readyz},
        "/metrics": {"get": metrics},
    }


def _plain(parts: Parts, id: str, summary: str, tag: str, schema: Json, codes: Iterable[str]) -> dict[str, Json]:
    return {"operationId": id, "summary": summary, "tags": [tag], "responses": parts.answers({200: schema}, codes)}


def _events(parts: Parts, id: str, summary: str, tag: str, codes: Iterable[str]) -> dict[str, Json]:
    responses = parts.answers({200: None}, codes)
    responses["200"]["content"] = {"text/event-stream": {}}
    if tag == "runs":
        responses["204"] = {"description": "The run has ended, and nothing came after the cursor"}
    asked = [
        parameters.query("cursor", {"type": "string"}),
        parameters.header("Last-Event-ID", "The cursor, as browsers send it."),
    ]
    return {"operationId": id, "summary": summary, "tags": [tag], "parameters": asked, "responses": responses}
