"""`pulpo flows`: which flows there are, and running one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pulpo.cli import runs, show
from pulpo.cli.options import AsJson, Given, Key, Local, find_target, project_root, schedules_here
from pulpo.errors import Nearest, PulpoError
from pulpo.runtime.commands import read_input
from pulpo.runtime.target import InProcess

app = typer.Typer(
    help="List flows, run them, now or by the clock.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
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
        if isinstance(place, InProcess):
            _needs_prefect(place, name)
        run = place.start_run(name, raw, key)
        followed = wait or isinstance(place, InProcess)
        if followed:
            run = runs.settle(place, run, timeout=timeout, to_end=wait)
    if as_json or followed:
        runs.print_run(run, as_json=as_json)
    else:
        typer.echo(f"{show.run_summary(run)}\n`pulpo runs watch {run['id']}` follows it")
    raise typer.Exit(runs.exit_code(run, to_end=wait) if followed else 0)


@app.command("schedule")
def schedule_flow(
    name: FlowName,
    *,
    cron: Annotated[str | None, typer.Option(help="When, as cron writes it: 0 3 * * 1-5.")] = None,
    every: Annotated[float | None, typer.Option(help="Every so many seconds.")] = None,
    timezone: Annotated[str, typer.Option(help="Whose clock --cron means.")] = "UTC",
    given: Given = None,
    called: Annotated[str | None, typer.Option("--name", help="The schedule's name; by default the flow's.")] = None,
    as_json: AsJson = False,
    local: Local = False,
) -> None:
    """Begin runs of a flow by the clock, from now on. One of the same name is replaced."""
    from pulpo.runtime import schedules

    raw = read_input(given)
    with InProcess(schedules_here(local=local)) as place:
        made = place.do(
            schedules.put(
                place.application.engine, called or name, name, raw, cron=cron, every=every, timezone=timezone
            )
        )
    typer.echo(
        json.dumps(made.as_json(), ensure_ascii=False) if as_json else f"schedule {made.id}: next at {made.next_at}"
    )


@app.command("schedules")
def list_schedules(*, as_json: AsJson = False, local: Local = False) -> None:
    """List the schedules: when each is due, and what its last tick began."""
    from pulpo.runtime import schedules

    with InProcess(schedules_here(local=local)) as place:
        found = place.do(schedules.listing(place.application.engine))
    if as_json:
        typer.echo(json.dumps({"schedules": [each.as_json() for each in found]}, ensure_ascii=False))
        return
    rows = [
        (
            each.id,
            each.flow,
            f"{each.cron} {each.timezone}" if each.cron else f"every {each.every:g} s",
            each.next_at,
            each.problem or each.last_run or "-",
        )
        for each in found
    ]
    typer.echo(show.table(("schedule", "flow", "when", "next", "last"), rows) if rows else "no schedules")


@app.command("unschedule")
def unschedule_flow(
    name: Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's name.", show_default=False)],
    *,
    local: Local = False,
) -> None:
    """Forget a schedule. Runs that it began go on."""
    from pulpo.runtime import schedules

    with InProcess(schedules_here(local=local)) as place:
        place.do(schedules.remove(place.application.engine, name))
    typer.echo(f"schedule {name} is gone")


@app.command("deploy")
def deploy_flows(*, as_json: AsJson = False) -> None:
    """Register the flows that Prefect runs with its server. A worker does so by itself when it starts."""
    with InProcess(project_root()) as place:
        dispatch = place.application.engine.dispatch
        if dispatch is None:
            raise PulpoError(
                "PULPO804",
                "no flow of this project is run by Prefect",
                hint='set kind = "prefect" in [engine]; docs/prefect.md',
            )
        made = place.do(dispatch.register())
    if as_json:
        typer.echo(json.dumps({"deployments": made, "server": dispatch.where.page}))
        return
    typer.echo("\n".join(f"{each} in the work pool {dispatch.where.pool}" for each in made.values()))


def _needs_prefect(place: InProcess, flow: str) -> None:
    """The Prefect server that is to carry out this flow answers, where one is.

    Raises:
        PulpoError: PULPO706, it does not: nobody would take the run up.
    """
    dispatch = place.application.engine.dispatch
    if dispatch is not None and dispatch.sends_flow(flow) and not place.do(dispatch.api.healthy()):
        raise PulpoError(
            "PULPO706",
            f"{flow} is run by Prefect, whose server at {dispatch.where.url} does not answer",
            hint="`pulpo up` starts the project's own; else look at prefect.url",
        )


def _inputs(plan: Any) -> str:
    """`order_id, [note]`: optional ones in brackets."""
    return ", ".join(each["name"] if each["required"] else f"[{each['name']}]" for each in plan["input"]) or "none"
