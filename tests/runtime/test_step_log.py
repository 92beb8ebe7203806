"""What operations log is kept with their steps, within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from pulpo import Refused
from pulpo.runtime import step_log
from tests.runtime.lab import Lab

own = logging.getLogger("shop.of_the_project")


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    """Keep what is logged from INFO on, as processes do that serve."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    step_log.keep()
    step_log.keep()
    yield
    root.setLevel(level)
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, step_log.Keeper)]


def messages(run: dict, operation: str) -> list[tuple[str, str]]:
    (step,) = (step for step in run["steps"] if step["operation"] == operation)
    return [(line["level"], line["message"]) for line in step["log"]]


async def test_what_an_operation_logs_stands_in_its_step_once_by_whichever_logger(lab: Lab) -> None:
    """`ctx.log`, a logger of the project's own, in a thread too; steps side by side do not mix; DEBUG is not kept."""
    both = asyncio.Barrier(2)

    async def left(data, ctx):
        ctx.log.info("looking at %s", data.box)
        await both.wait()
        await asyncio.to_thread(own.warning, "from a thread")
        own.debug("too much")

    async def right(data, ctx):
        await both.wait()
        own.error("from the right")

    lab.step("lab.one.left", left)
    lab.step("lab.one.right", right)
    lab.step("lab.two.silent", after=["lab.one"])
    run = await lab.run(await lab.start(), box="b7")
    assert run["state"] == "completed"
    assert messages(run, "lab.one.left") == [("info", "looking at b7"), ("warning", "from a thread")]
    assert messages(run, "lab.one.right") == [("error", "from the right")]
    assert messages(run, "lab.two.silent") == []
    assert all(line["attempt"] == 1 and line["at"] for step in run["steps"] for line in step["log"])


async def test_lines_of_every_attempt_are_kept_also_of_one_that_fails(lab: Lab) -> None:
    """The attempt stands with each line; of an exception its name, no traceback; undoing has lines of its own."""

    async def make(data, ctx):
        return None

    async def unmake(data, ctx):
        ctx.log.info("put back")

    async def stumble(data, ctx):
        ctx.log.info("trying")
        try:
            _ = 1 / int(ctx.run.attempt == 0)
        except ZeroDivisionError:
            own.exception("no luck")
        if ctx.run.attempt == 1:
            raise RuntimeError
        raise Refused("no_luck", "not today")

    lab.step("lab.one.make", make, undo=unmake)
    lab.step("lab.two.stumble", stumble, after=["lab.one"], retries=1)
    run = await lab.run(await lab.start())
    assert run["state"] == "compensated"
    (step,) = (step for step in run["steps"] if step["operation"] == "lab.two.stumble")
    assert [(line["message"], line["attempt"]) for line in step["log"]] == [
        ("trying", 1),
        ("no luck (ZeroDivisionError)", 1),
        ("trying", 2),
        ("no luck (ZeroDivisionError)", 2),
    ]
    assert messages(run, "lab.one.make_undone") == [("info", "put back")]


async def test_a_step_that_logs_without_end_keeps_the_newest_lines(lab: Lab) -> None:
    """A hundred lines, the first of which says how many are missing; long ones are cut."""

    async def chatter(data, ctx):
        for number in range(1000):
            own.info("line %s", number)
        own.info("x" * 10_000)
        own.info("does not %d fit", "it")

    lab.step("lab.one.chatter", chatter)
    logging.raiseExceptions, before = False, logging.raiseExceptions
    try:
        run = await lab.run(await lab.start())
    finally:
        logging.raiseExceptions = before
    lines = [message for _, message in messages(run, "lab.one.chatter")]
    assert len(lines) == step_log.LINES
    assert lines[0] == "902 earlier lines were left out"
    assert lines[1:-1] == [f"line {number}" for number in range(902, 1000)]
    assert lines[-1] == "x" * (step_log.LENGTH - 1) + "…"


def test_outside_of_an_operation_nothing_is_kept() -> None:
    """A line of anybody else's belongs to no step."""
    lines: step_log.Lines = []
    with step_log.kept_in(lines, 1):
        own.info("inside")
    own.info("outside")
    assert [line["message"] for line in lines] == ["inside"]
