"""Sample data: a small team and its tasks. Loading it again changes nothing."""

from datetime import timedelta

from models.team import CheckItem, Person, Priority, Project, State, Task

from pulpo import Context

PEOPLE = ("Ines Duarte", "Tomek Wolny", "Maya Okafor")
PROJECTS = ("Website", "Office move", "Hiring")
TASKS = (
    ("Write the landing page", 0, State.DOING, Priority.NORMAL, 3),
    ("Pick a colour for links", 0, State.DONE, Priority.LOW, -2),
    ("Check contrast in dark mode", 0, State.TODO, Priority.URGENT, -1),
    ("Measure the new rooms", 1, State.DONE, Priority.NORMAL, -5),
    ("Order desks", 1, State.DOING, Priority.URGENT, 1),
    ("Find a mover", 1, State.TODO, Priority.NORMAL, 9),
    ("Label the boxes", 1, State.TODO, Priority.LOW, 14),
    ("Publish the job offer", 2, State.DONE, Priority.NORMAL, -8),
    ("Call the first three", 2, State.DOING, Priority.NORMAL, 2),
    ("Prepare the trial task", 2, State.TODO, Priority.NORMAL, 6),
)


async def seed(ctx: Context) -> None:
    """Put the sample into an empty database."""
    if await ctx.store.count(Person):
        return
    people = [
        Person(id=f"person_{number}", name=name, email=f"{name.split()[0].lower()}@team.example")
        for number, name in enumerate(PEOPLE, start=1)
    ]
    projects = [
        Project(id=f"project_{number}", name=name, lead_id=people[number % 3].id, site="https://team.example")
        for number, name in enumerate(PROJECTS, start=1)
    ]
    for document in (*people, *projects):
        ctx.store.insert(document)
    for number, (title, project, state, priority, days) in enumerate(TASKS, start=1):
        done = state is State.DONE
        ctx.store.insert(
            Task(
                id=f"task_{number:02}",
                title=title,
                project_id=projects[project].id,
                assignee_id=people[number % 3].id if state is not State.TODO else None,
                state=state,
                priority=priority,
                due=(ctx.now() + timedelta(days=days)).date(),
                tags=["this week"] if abs(days) < 4 else [],
                checklist=[CheckItem(text="Begin", done=state is not State.TODO), CheckItem(text="End", done=done)],
                progress={State.TODO: 0, State.DOING: 50}.get(state, 100),
                done_at=ctx.now() + timedelta(days=days) if done else None,
            )
        )
