from pulpo import Model, datamodel


@datamodel
class Order(Model):
    note: str = ""


@datamodel
class Payment(Model):
    note: str = ""
