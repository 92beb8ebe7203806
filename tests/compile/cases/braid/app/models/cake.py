from pulpo import Model, datamodel


@datamodel
class Cake(Model):
    """A cake."""

    layers: int = 1
