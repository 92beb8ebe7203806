"""More of a past for the shop than its sample has: orders of the last weeks. Run in a compiled project's root."""

import asyncio
import random
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from generated.application import application

from pulpo.runtime.context import Caller

ORDERS = 140
DAYS = 29


async def main() -> None:
    """Put the orders in; the same ones at each run."""
    from models.customer import Customer  # noqa: PLC0415 - known once the project is on the path
    from models.order import Fulfilment, Order, OrderItem, OrderStatus  # noqa: PLC0415
    from models.product import Product  # noqa: PLC0415

    chance = random.Random(7)  # noqa: S311 - sample data
    await application.start(execute=False)
    context = application.context(Caller())
    customers = await context.store.find(Customer, limit=50)
    products = [product for product in await context.store.find(Product, limit=50) if product.inventory > 0]
    now = context.now()
    for number in range(ORDERS):
        days = DAYS * (1 - (number / ORDERS) ** 0.8)
        made = now - timedelta(days=days, hours=chance.random() * 3, minutes=chance.randint(1, 59))
        customer = chance.choice(customers)
        items = [
            OrderItem(product_id=product.id, quantity=chance.randint(1, 3), unit_price=product.price)
            for product in chance.sample(products, chance.randint(1, 3))
        ]
        hours = round(chance.uniform(3, 30), 2)
        sent = made + timedelta(hours=hours)
        shipped = sent < now
        context.store.insert(
            Order(
                order_number=f"ORD-{made:%Y%m%d}-{number + 100}",
                customer_id=customer.id,
                items=items,
                total=sum((item.total_price for item in items), Decimal(0)),
                shipping_address_id=customer.addresses[0].id,
                status=OrderStatus.DELIVERED if days > 4 else OrderStatus.SHIPPED if shipped else OrderStatus.PENDING,
                fulfilment=Fulfilment.DELIVERED if days > 4 else Fulfilment.SHIPPED if shipped else Fulfilment.NONE,
                shipped_at=sent if shipped else None,
                hours_to_ship=hours if shipped else None,
                created_at=made,
                updated_at=made,
            )
        )
    await context.commit()
    await application.stop()


asyncio.run(main())
