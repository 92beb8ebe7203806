"""Notes."""

from pulpo import Field, Model, datamodel


@datamodel
class Note(Model):
    """Something to remember."""

    text: str = Field(max_length=200)
    done: bool = False
