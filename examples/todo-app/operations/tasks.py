"""What happens to tasks one at a time."""

from models.team import Person, State, Task
from pydantic import BaseModel, Field

from pulpo import Context, Ref, Refused, operation


class AssignInput(BaseModel):
    """The task, and who is to do it."""

    task_id: Ref[Task]
    person_id: Ref[Person]


class AssignOutput(BaseModel):
    """Who does it now."""

    assignee: str
    state: State


@operation(name="tasks.board.assign", models_in=[Person], models_out=[Task], standalone=True, ui={"icon": "user"})
async def assign(data: AssignInput, ctx: Context) -> AssignOutput:
    """Give a task to somebody."""
    task = await ctx.store.get(Task, data.task_id)
    person = await ctx.store.get(Person, data.person_id)
    if task.state is State.ARCHIVED:
        raise Refused("archived", f"{task.title} is archived", hint="set its state first")
    task = ctx.store.patch(task, assignee_id=person.id)
    return AssignOutput(assignee=person.name, state=task.state)


class FinishInput(BaseModel):
    """The task that is done."""

    task_id: Ref[Task]
    note: str = Field(default="", max_length=500)


class FinishOutput(BaseModel):
    """The task's state."""

    state: State


@operation(name="tasks.board.finish", models_out=[Task], standalone=True, ui={"icon": "check"})
async def finish(data: FinishInput, ctx: Context) -> FinishOutput:
    """Mark a task as done, with all of its checklist."""
    task = await ctx.store.get(Task, data.task_id)
    if task.state is State.DONE:
        ctx.already()
        return FinishOutput(state=task.state)
    checklist = [item.model_copy(update={"done": True}) for item in task.checklist]
    notes = f"{task.notes}\n{data.note}".strip()
    task = ctx.store.patch(
        task,
        state=State.DONE,
        checklist=checklist,
        progress=100 if checklist else 0,
        notes=notes,
        done_at=ctx.now(),
    )
    return FinishOutput(state=task.state)
