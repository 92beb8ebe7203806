from pulpo import Model, datamodel


@datamodel
class Run(Model):
    note: str = ""


@datamodel
class Event(Model):
    note: str = ""


@datamodel
class Doc(Model):
    note: str = ""
