"""Who works, and on what."""

from datetime import date
from enum import StrEnum
from typing import Self

from pulpo import Context, Embedded, Field, Model, Ref, Timestamp, datamodel


class State(StrEnum):
    """todo -> doing -> done -> archived."""

    TODO = "todo"
    DOING = "doing"
    DONE = "done"
    ARCHIVED = "archived"


class Priority(StrEnum):
    """How much it matters."""

    LOW = "low"
    NORMAL = "normal"
    URGENT = "urgent"


@datamodel(ui={"icon": "user", "group": "Team", "order": 1})
class Person(Model):
    """Someone of the team."""

    name: str = Field(min_length=1, max_length=100)
    email: str = Field(unique=True, ui={"widget": "email"})
    phone: str = Field(default="", ui={"widget": "phone"})


@datamodel(ui={"icon": "folder", "group": "Work", "order": 2})
class Project(Model):
    """What tasks are for."""

    name: str = Field(unique=True, min_length=1, max_length=100)
    lead_id: Ref[Person] | None = None
    site: str = Field(default="", ui={"widget": "url"})
    notes: str = Field(default="", ui={"widget": "textarea"})


class CheckItem(Embedded):
    """A line of a task's checklist."""

    text: str = Field(min_length=1, max_length=200)
    done: bool = False


@datamodel(
    ui={
        "icon": "checklist",
        "group": "Work",
        "order": 1,
        "status": "state",
        "columns": ["title", "project_id", "assignee_id", "state", "priority", "due", "progress"],
        "filters": ["state", "priority"],
    }
)
class Task(Model):
    """Something to be done."""

    title: str = Field(min_length=1, max_length=200)
    project_id: Ref[Project] = Field(index=True)
    assignee_id: Ref[Person] | None = Field(default=None, index=True)
    state: State = Field(default=State.TODO, index=True)
    priority: Priority = Field(default=Priority.NORMAL, index=True, ui={"colours": {"low": "gray", "normal": "blue"}})
    due: date | None = Field(default=None, index=True)
    estimate: int = Field(default=3600, ge=0, description="Seconds that it should take", ui={"widget": "duration"})
    tags: list[str] = Field(default_factory=list, max_length=10)
    checklist: list[CheckItem] = Field(default_factory=list, max_length=50)
    progress: int = Field(default=0, readonly=True, description="Of its checklist", ui={"widget": "percent"})
    notes: str = Field(default="", max_length=5000, ui={"widget": "textarea"})
    done_at: Timestamp | None = Field(default=None, readonly=True)

    async def before_create(self, ctx: Context) -> None:
        """Work out what follows from the rest."""
        self._derive(ctx)

    async def before_update(self, old: Self, ctx: Context) -> None:  # noqa: ARG002 - the hook's shape
        """As for a new one."""
        self._derive(ctx)

    def _derive(self, ctx: Context) -> None:
        ticked = sum(item.done for item in self.checklist)
        self.progress = round(100 * ticked / len(self.checklist)) if self.checklist else 0
        if self.state in {State.TODO, State.DOING}:
            self.done_at = None
        elif self.done_at is None:
            self.done_at = ctx.now()


@datamodel(api="read", ui={"icon": "notes", "group": "Work", "order": 3, "label": "title"})
class Report(Model):
    """What a review of a project found."""

    title: str
    project_id: Ref[Project] = Field(index=True)
    done: int
    open: int
    late: int
    archived: int = 0
