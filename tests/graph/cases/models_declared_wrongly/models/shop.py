from pydantic import BaseModel
from pulpo import Embedded, Field, Model, Ref, datamodel


@datamodel
class Plain(BaseModel):
    note: str = ""


class Line(Embedded):
    product_id: Ref["Produkt"]


@datamodel(unique=[("order_id", "evnt")], api="reed")
class Notification(Model):
    order_id: str
    event: str
    address_id: Ref[Line] = Field("", within="order")


@datamodel(api=["list", "fetch"])
class Product(Model):
    sku: str = Field(key=True)
    ean: str = Field(key=True)
    lines: list[Line] = []


@datamodel(name="shipment")
class Shipment(Model):
    later: "list[Nowhere]"


@datamodel(name="parcel")
class Parcel(Model):
    note: str = ""
