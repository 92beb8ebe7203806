"""The board as its team meets it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from pulpo import Context

RunFlow = Callable[..., Awaitable[Any]]


@pytest.fixture
async def team(ctx: Context) -> None:
    """The sample team and its tasks."""
    from seed import seed  # noqa: PLC0415 - the project is on the path once its application is loaded

    await seed(ctx)
    await ctx.commit()


@pytest.mark.usefixtures("team")
async def test_a_task_s_progress_is_its_checklist_s(client: httpx.AsyncClient) -> None:
    """Half of the list ticked is 50 %, and what is done has a time."""
    body = {"title": "Water the plants", "project_id": "project_1", "state": "done"}
    checklist = [{"text": "Kitchen", "done": True}, {"text": "Hall"}]
    made = (await client.post("/tasks", json={**body, "checklist": checklist})).json()
    assert made["progress"] == 50
    assert made["done_at"] is not None


@pytest.mark.usefixtures("team")
async def test_a_review_tidies_up_and_reports(client: httpx.AsyncClient, run_flow: RunFlow) -> None:
    """What is done is archived; the report says what is done, open and late."""
    run = await run_flow("weekly_review", {"project_id": "project_1"})
    assert run["state"] == "completed"
    report = (await client.get("/reports")).json()[0]
    assert {name: report[name] for name in ("done", "open", "late", "archived")} == {
        "done": 1,
        "open": 2,
        "late": 1,
        "archived": 1,
    }
    archived = (await client.get("/tasks?state=archived")).json()
    assert [task["title"] for task in archived] == ["Pick a colour for links"]


@pytest.mark.usefixtures("team")
async def test_what_is_archived_is_not_given_to_anybody(client: httpx.AsyncClient) -> None:
    """409 with the application's own code."""
    await client.patch("/tasks/task_02", json={"state": "archived"})
    answer = await client.post("/operations/tasks/board/assign", json={"task_id": "task_02", "person_id": "person_1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "archived")
