"""Customer accounts."""

from pulpo import Embedded, Field, Model, datamodel, new_id

EMAIL = r"^[^@\s\x85\ufeff]+@[^@\s\x85\ufeff]+\.[^@\s\x85\ufeff]+$"
"""What an address looks like; the two characters are space to some readers of patterns and none to others."""


class Address(Embedded):
    """A shipping or billing address."""

    id: str = Field(default_factory=lambda: new_id("addr"))
    street: str = Field(min_length=1, max_length=200)
    city: str = Field(min_length=1, max_length=100)
    state: str = Field(min_length=1, max_length=100, description="State/Province")
    zip_code: str = Field(min_length=3, max_length=12, description="Postal code")
    country: str = Field(default="US", pattern="^[A-Z]{2}$", description="ISO 3166 code")


class PaymentMethod(Embedded):
    """A way in which a customer pays: the gateway's token, never a card's number."""

    id: str = Field(default_factory=lambda: new_id("pm"))
    kind: str = Field(default="credit_card", description="credit_card, debit_card, …")
    token: str = Field(description="The gateway's name for it")
    expires: str = Field(
        default="", pattern=r"^(\d{4}-(0[1-9]|1[0-2]))?$", description="Last month of validity, YYYY-MM"
    )
    enabled: bool = True


@datamodel(
    ui={"icon": "users", "group": "Sales", "order": 2, "columns": ["name", "email", "phone", "created_at"]},
)
class Customer(Model):
    """Someone who orders. The first payment method is the default."""

    email: str = Field(unique=True, pattern=EMAIL, description="Email address", ui={"widget": "email"})
    name: str = Field(min_length=1, max_length=200, description="Full name")
    addresses: list[Address] = Field(default_factory=list, description="Shipping/billing addresses")
    payment_methods: list[PaymentMethod] = Field(default_factory=list)
    phone: str = Field(default="", ui={"widget": "phone"})

    def address(self, id: str) -> Address | None:
        """The address with this id."""
        return next((address for address in self.addresses if address.id == id), None)
