"""`pulpo flows`: which flows there are, and running one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pulpo.cli import runs, show
from pulpo.cli.options import AsJson, Given, Key, Local, find_target
from pulpo.errors import Nearest, PulpoError
from pulpo.runtime.commands import read_input
from pulpo.runtime.target import InProcess

app = typer.Typer(help="List flows and run them.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
FlowName = Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.", show_default=False)]


@app.command("list")
def list_flows(*, as_json: AsJson = False, local: Local = False) -> None:
    """List the project's flows."""
    with find_target(local=local) as place:
        plans = place.flows()
    if as_json:
        typer.echo(json.dumps({"flows": plans}, ensure_ascii=False))
        return
    rows = [(plan["flow"], str(len(plan["steps"])), _inputs(plan), plan.get("description", "")) for plan in plans]
    typer.echo(show.table(("flow", "steps", "input", "about"), rows) if rows else "no flows")


@app.command("show")
def show_flow(name: FlowName, *, as_json: AsJson = False, local: Local = False) -> None:
    """Show a flow's input and steps (`pulpo plan FLOW --why` says why they are in this order)."""
    with find_target(local=local) as place:
        plans = {plan["flow"]: plan for plan in place.flows()}
    if name not in plans:
        raise PulpoError("PULPO404", f"there is no flow {name!r}", hint=Nearest(tuple(plans)).to(name))
    plan = plans[name]
    if as_json:
        typer.echo(json.dumps(plan, ensure_ascii=False))
        return
    rows = [(step["operation"], ", ".join(step["needs"]) or "-") for step in plan["steps"]]
    typer.echo(f"{name}  input: {_inputs(plan)}\n\n{show.table(('step', 'after'), rows)}")


@app.command("run")
def run_flow(
    name: FlowName,
    *,
    given: Given = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run has ended, and exit by how it did.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Wait at most so many seconds; exit code 5 where the run goes on.")
    ] = None,
    key: Key = None,
    as_json: AsJson = False,
    local: Local = False,
) -> None:
    """Run a flow. Without a running API it is carried out here, until it ends or has to wait for something."""
    raw = read_input(given)
    with find_target(local=local, execute=True) as place:
        run = place.start_run(name, raw, key)
        followed = wait or isinstance(place, InProcess)
        if followed:
            run = runs.settle(place, run, timeout=timeout, to_end=wait)
    if as_json or followed:
        runs.print_run(run, as_json=as_json)
    else:
        typer.echo(f"{show.run_summary(run)}\n`pulpo runs watch {run['id']}` follows it")
    raise typer.Exit(runs.exit_code(run, to_end=wait) if followed else 0)


def _inputs(plan: Any) -> str:
    """`order_id, [note]`: optional ones in brackets."""
    return ", ".join(each["name"] if each["required"] else f"[{each['name']}]" for each in plan["input"]) or "none"
