"""Ten thousand tasks, for a table that scrolls. Run in a compiled project's root."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from generated.application import application

from pulpo.runtime.context import Caller

TASKS = 10_000
AT_ONCE = 2_000


async def main() -> None:
    """Put the tasks in."""
    from models.team import Project, State, Task  # noqa: PLC0415 - known once the project is on the path

    await application.start(execute=False)
    context = application.context(Caller())
    project = context.store.insert(Project(id="project_many", name="Many"))
    for start in range(0, TASKS, AT_ONCE):
        for number in range(start, start + AT_ONCE):
            context.store.insert(Task(title=f"Task {number:05}", project_id=project.id, state=State.ARCHIVED))
        await context.commit()
        context = application.context(Caller())
    await application.stop()


asyncio.run(main())
