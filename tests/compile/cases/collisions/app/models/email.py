from pulpo import Model, datamodel


@datamodel
class Email(Model):
    """A message."""

    text: str = ""
