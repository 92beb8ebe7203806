"""The weekly review of a project: count what is done and what is late, side by side, then tidy up and report."""

from models.team import Project, Report, State, Task
from pydantic import BaseModel

from pulpo import Context, Ref, group, operation

group("tasks.report", after=["tasks.review"])


class ProjectInput(BaseModel):
    """The project that is reviewed."""

    project_id: Ref[Project]


class Done(BaseModel):
    """How many tasks are done, and how many are not."""

    done: int
    open: int


@operation(name="tasks.review.count_done", models_in=[Task], atomic=True)
async def count_done(data: ProjectInput, ctx: Context) -> Done:
    """Count what is done."""
    tasks = await ctx.store.find(Task, Task.project_id == data.project_id, limit=1000)
    finished = sum(task.state in {State.DONE, State.ARCHIVED} for task in tasks)
    return Done(done=finished, open=len(tasks) - finished)


class Late(BaseModel):
    """How many tasks are past their day."""

    late: int


@operation(name="tasks.review.find_late", models_in=[Task], atomic=True)
async def find_late(data: ProjectInput, ctx: Context) -> Late:
    """Count what is late."""
    tasks = await ctx.store.find(Task, Task.project_id == data.project_id, limit=1000)
    today = ctx.now().date()
    waiting = (task for task in tasks if task.state in {State.TODO, State.DOING})
    return Late(late=sum(task.due is not None and task.due < today for task in waiting))


class Archived(BaseModel):
    """How many tasks were put away."""

    archived: int


@operation(name="tasks.report.archive", models_out=[Task], atomic=True)
async def archive(data: ProjectInput, ctx: Context) -> Archived:
    """Put away what is done."""
    tasks = await ctx.store.find(Task, Task.project_id == data.project_id, Task.state == State.DONE, limit=1000)
    for task in tasks:
        ctx.store.patch(task, state=State.ARCHIVED)
    return Archived(archived=len(tasks))


class ReportInput(BaseModel):
    """The project, and what was found."""

    project_id: Ref[Project]
    done: int
    open: int
    late: int
    archived: int = 0


class ReportOutput(BaseModel):
    """The report."""

    report_id: Ref[Report]


@operation(
    name="tasks.report.write_report",
    models_in=[Project],
    models_add=[Report],
    after=["tasks.report.archive"],
    atomic=True,
)
async def write_report(data: ReportInput, ctx: Context) -> ReportOutput:
    """Write down what was found."""
    project = await ctx.store.get(Project, data.project_id)
    report = ctx.store.insert(
        Report(
            title=f"{project.name}, {ctx.now():%d %b %Y}",
            project_id=project.id,
            done=data.done,
            open=data.open,
            late=data.late,
            archived=data.archived,
        )
    )
    return ReportOutput(report_id=report.id)
