"""A strict type checker knows what a model is made of; what Pulpo fills in may be left out."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_type

from pulpo import Field, Model, Money, Ref, datamodel


@datamodel
class Order(Model):
    number: str = Field(key=True)
    customer_id: Ref[Order]
    total: Money = Decimal(0)


assert_type(Order(number="1", customer_id="cust_1"), Order)
Order(number=1, customer_id="cust_1")  # error: arg-type
Order(number="1")  # error: call-arg
