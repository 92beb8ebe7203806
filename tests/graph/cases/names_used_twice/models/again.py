from pulpo import Model, datamodel


@datamodel
class Order(Model):
    note: str = ""


@datamodel(name="Orde_r")
class Clash(Model):
    note: str = ""


@datamodel(name="Orde_R")
class ClashToo(Model):
    note: str = ""
