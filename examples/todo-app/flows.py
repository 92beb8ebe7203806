"""What runs as one."""

from pulpo import flow

flow("weekly_review", includes=["tasks.review", "tasks.report"], one_per="project_id", description="A project's week.")
