from pulpo import operation


@operation(name="email.out.task")
async def send() -> None:
    """A task, which Prefect has too."""
