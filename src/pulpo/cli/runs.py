"""`pulpo runs`: what ran, what is running, and what a person can do about it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pulpo.cli import show
from pulpo.cli.options import AsJson, Given, Local, RunId, find_target
from pulpo.errors import Nearest
from pulpo.runtime.commands import read_input
from pulpo.runtime.target import InProcess, Target

app = typer.Typer(
    help="Look at runs and act on them.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

_SETTLED = show.END_STATES | {"waiting"}
_PAUSE_SECONDS = 0.1
REFUSED, BROKEN, UNFINISHED = 3, 4, 5


@app.command("list")
def list_runs(
    *,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    name: Annotated[str | None, typer.Option(help="Only runs of this flow or operation.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only `flow` or `operation` runs.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    as_json: AsJson = False,
    local: Local = False,
) -> None:
    """List the newest runs."""
    filters = {field: value for field, value in (("state", state), ("name", name), ("kind", kind)) if value is not None}
    with find_target(local=local) as place:
        found = place.runs(filters, limit)
        known = [each["flow"] for each in place.flows()] if name and not found else []
    if as_json:
        typer.echo(json.dumps({"runs": found}, ensure_ascii=False))
    else:
        typer.echo(show.runs_table(found) if found else "no runs")
        if name and not found and "." not in name and name not in known:
            near = Nearest(tuple(known)).to(name) or f"there are {', '.join(known)}"
            typer.echo(f'there is no flow "{name}": {near}', err=True)


@app.command("show")
def show_run(run: RunId, *, as_json: AsJson = False, local: Local = False) -> None:
    """Show a run's steps: when each began, how long it took, what went wrong."""
    with find_target(local=local) as place:
        print_run(place.run(run), as_json=as_json)


@app.command()
def cancel(
    run: RunId,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the run.")] = "",
    as_json: AsJson = False,
    local: Local = False,
) -> None:
    """Cancel a run: nothing new starts, and what was done is undone."""
    _act(run, "cancel", {"reason": reason}, as_json=as_json, local=local)


@app.command()
def retry(run: RunId, *, given: Given = None, as_json: AsJson = False, local: Local = False) -> None:
    """Go on with a failed run from the step that failed, or begin an undone one anew; --input changes its input."""
    body = {} if given is None else {"input": json.loads(read_input(given))}
    _act(run, "retry", body, as_json=as_json, local=local)


@app.command()
def wake(run: RunId, *, as_json: AsJson = False, local: Local = False) -> None:
    """Try a waiting run now."""
    _act(run, "wake", {}, as_json=as_json, local=local)


@app.command()
def watch(run: RunId, *, local: Local = False) -> None:
    """Follow a run until it ends: a line whenever a step changes."""
    with find_target(local=local) as place:
        seen: dict[str, str] = {}
        while True:
            document = place.run(run)
            _print_changes(document, seen)
            if document["state"] in show.END_STATES:
                break
            place.pause(_PAUSE_SECONDS)
    raise typer.Exit(exit_code(document))


def settle(place: Target, run: Any, *, timeout: float | None, to_end: bool) -> Any:
    """Wait for a run to end (or, unless `to_end`, to wait for something) and return its document.

    Args:
        place: Where the run is.
        run: Its document as it was.
        timeout: Seconds to wait at most; then the run is returned as it is.
        to_end: Go on waiting while the run itself is waiting.
    """
    states = show.END_STATES if to_end else _SETTLED
    waited, said = 0.0, ""
    document = place.run(run["id"])
    while document["state"] not in states and (timeout is None or waited < timeout):
        if to_end and (why := _waits_for(document)) not in ("", said):
            typer.echo(f"waiting: {why}", err=True)
            said = why
        place.pause(_PAUSE_SECONDS)
        waited += _PAUSE_SECONDS
        document = place.run(run["id"])
    return document


def _waits_for(run: Any) -> str:
    """Why a run waits, in the words of its steps; empty where it does not."""
    steps = (step for step in run.get("steps", []) if step["state"] == "waiting")
    return "; ".join(
        f"{step['operation']}" + (f"  {step['error']['code']}  {step['error']['detail']}" if step.get("error") else "")
        for step in steps
    )


def print_run(run: Any, *, as_json: bool) -> None:
    """A run with its steps, for people or as JSON."""
    typer.echo(json.dumps(run, ensure_ascii=False) if as_json else show.run_text(run))


def exit_code(run: Any, *, to_end: bool = False) -> int:
    """How a command ends that carried out this run: 0 unless it came to another end than `completed`.

    Args:
        run: Its document.
        to_end: The command was to wait for the end: one that has not come is no success.
    """
    if run["state"] not in show.END_STATES:
        return UNFINISHED if to_end else 0
    if run["state"] == "completed":
        return 0
    return BROKEN if (run.get("error") or {}).get("status", 409) >= 500 else REFUSED


def _act(run: str, action: str, body: dict[str, Any], *, as_json: bool, local: bool) -> None:
    with find_target(local=local, execute=True) as place:
        document = place.act(run, action, body)
        if isinstance(place, InProcess):  # nobody else is there to do it once this process has ended
            document = settle(place, document, timeout=None, to_end=False)
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        typer.echo(show.run_summary(document))


def _print_changes(run: Any, seen: dict[str, str]) -> None:
    begun = (step for step in run.get("steps", []) if "id" in step)
    changes = [(step["id"], step["operation"], step) for step in begun]
    for key, name, document in [*changes, (run["id"], run["name"], run)]:
        if seen.get(key) != document["state"]:
            seen[key] = document["state"]
            undone = "undo " if document.get("kind") == "compensation" else ""
            typer.echo(f"{document['updated_at']}  {undone}{name}  {document['state']}")
