"""The same with Litestar, msgspec and Advanced Alchemy's services, as their documentation teaches."""

import os
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

from advanced_alchemy.exceptions import DuplicateKeyError, IntegrityError, NotFoundError
from advanced_alchemy.extensions.litestar import SQLAlchemyAsyncConfig, SQLAlchemyPlugin, providers, repository, service
from litestar import Litestar, get, post, put
from litestar.exceptions import HTTPException
from litestar.params import Parameter
from msgspec import Meta, Struct, structs
from sqlalchemy import JSON, ForeignKey, event, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['BENCH_DATABASE']}", connect_args={"timeout": 30})


@event.listens_for(engine.sync_engine, "connect")
def durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def now() -> datetime:
    return datetime.now(UTC)


class OrderStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Base(DeclarativeBase):
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: uuid4().hex)


class Stamped:
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class Customer(Base):
    __tablename__ = "customer"
    email: Mapped[str]
    name: Mapped[str]
    addresses: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class Product(Stamped, Base):
    __tablename__ = "product"
    sku: Mapped[str]
    name: Mapped[str]
    price: Mapped[Decimal]
    inventory: Mapped[int]
    active: Mapped[bool]
    weight_grams: Mapped[int]
    category: Mapped[str]
    location: Mapped[str]
    on_hand: Mapped[int]
    reserved: Mapped[int]


class StockMovement(Stamped, Base):
    __tablename__ = "stockmovement"
    product_id: Mapped[str] = mapped_column(ForeignKey("product.id"))
    kind: Mapped[str]
    on_hand_change: Mapped[int]
    reason: Mapped[str]


class Order(Stamped, Base):
    __tablename__ = "order"
    order_number: Mapped[str]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    total: Mapped[Decimal]
    shipping_address_id: Mapped[str]
    currency: Mapped[str]
    status: Mapped[OrderStatus] = mapped_column(default=OrderStatus.PENDING)
    tracking_number: Mapped[str | None]
    fulfilment: Mapped[str] = mapped_column(default="none")
    shipping_cost: Mapped[Decimal | None]
    amount_due: Mapped[Decimal | None]
    quote_id: Mapped[str | None]
    reserved_at: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


Text = Annotated[str, Meta(min_length=1, max_length=64)]


def at_least_nothing(*amounts: Decimal) -> None:
    if min(amounts) < 0:  # msgspec holds no Decimal to a bound
        raise ValueError("an amount is at least 0")


class ProductIn(Struct, kw_only=True, forbid_unknown_fields=True):
    sku: Text
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    price: Decimal
    inventory: Annotated[int, Meta(ge=0)] = 0
    active: bool = True
    weight_grams: Annotated[int, Meta(ge=1, le=30_000)] = 400
    category: str = ""
    location: str = ""

    def __post_init__(self) -> None:
        at_least_nothing(self.price)


class ProductOut(Struct, kw_only=True):
    id: str
    sku: str
    name: str
    price: Decimal
    inventory: int
    active: bool
    weight_grams: int
    category: str
    location: str
    on_hand: int
    reserved: int
    version: int
    created_at: datetime
    updated_at: datetime


class Item(Struct, kw_only=True):
    product_id: str
    quantity: Annotated[int, Meta(ge=1, le=100_000)]
    unit_price: Decimal
    total_price: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        at_least_nothing(self.unit_price, self.total_price)


class OrderIn(Struct, kw_only=True, forbid_unknown_fields=True):
    order_number: Text
    customer_id: str
    items: Annotated[list[Item], Meta(min_length=1, max_length=100)]
    total: Decimal
    shipping_address_id: str
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"

    def __post_init__(self) -> None:
        at_least_nothing(self.total)


class OrderOut(Struct, kw_only=True):
    id: str
    order_number: str
    customer_id: str
    items: list[Item]
    status: OrderStatus
    total: Decimal
    shipping_address_id: str
    tracking_number: str | None
    currency: str
    fulfilment: str
    shipping_cost: Decimal | None
    amount_due: Decimal | None
    quote_id: str | None
    reserved_at: datetime | None
    shipped_at: datetime | None
    cancelled_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class Products(service.SQLAlchemyAsyncRepositoryService[Product]):
    class Repo(repository.SQLAlchemyAsyncRepository[Product]):
        model_type = Product

    repository_type = Repo


class Orders(service.SQLAlchemyAsyncRepositoryService[Order]):
    class Repo(repository.SQLAlchemyAsyncRepository[Order]):
        model_type = Order

    repository_type = Repo


Limit = Annotated[int, Parameter(ge=1, le=100)]


@get("/products/{id:str}")
async def get_product(products: Products, id: str) -> ProductOut:
    try:
        return products.to_schema(await products.get(id), schema_type=ProductOut)
    except NotFoundError:
        raise HTTPException("no such product", status_code=404) from None


@get("/products")
async def list_products(products: Products, limit: Limit = 50) -> list[ProductOut]:
    wanted = select(Product).order_by(Product.created_at.desc()).limit(limit)
    found = await products.list(statement=wanted)
    return [products.to_schema(each, schema_type=ProductOut) for each in found]


@get("/orders")
async def list_orders(orders: Orders, status: OrderStatus | None = None, limit: Limit = 50) -> list[OrderOut]:
    wanted = select(Order).order_by(Order.created_at.desc()).limit(limit)
    if status is not None:
        wanted = wanted.where(Order.status == status)
    found = await orders.list(statement=wanted)
    return [orders.to_schema(each, schema_type=OrderOut) for each in found]


@post("/orders")
async def create_order(orders: Orders, data: OrderIn) -> OrderOut:
    db = orders.repository.session
    customer = await db.get(Customer, data.customer_id)
    if customer is None or all(each["id"] != data.shipping_address_id for each in customer.addresses):
        raise HTTPException("no such customer or address", status_code=422)
    wanted = {item.product_id for item in data.items}
    if len((await db.scalars(select(Product.id).where(Product.id.in_(wanted)))).all()) != len(wanted):
        raise HTTPException("no such product", status_code=422)
    for item in data.items:
        item.total_price = item.unit_price * item.quantity
    if data.total != sum(item.total_price for item in data.items):
        raise HTTPException("the total is not the sum of the lines", status_code=422)
    items = [{**structs.asdict(item), "unit_price": str(item.unit_price), "total_price": str(item.total_price)}
             for item in data.items]  # fmt: skip
    try:
        order = await orders.create({**structs.asdict(data), "items": items}, auto_commit=True)
    except (DuplicateKeyError, IntegrityError):
        raise HTTPException("taken", status_code=409) from None
    return orders.to_schema(order, schema_type=OrderOut)


@put("/products/{id:str}")
async def replace_product(products: Products, id: str, data: ProductIn) -> ProductOut:
    try:
        product = await products.get(id)
    except NotFoundError:
        raise HTTPException("no such product", status_code=404) from None
    change = data.inventory - product.inventory
    if change:
        product.on_hand += change
        booked = {"product_id": id, "kind": "adjustment", "on_hand_change": change, "reason": "edited by hand"}
        products.repository.session.add(StockMovement(**booked))
    for name, value in structs.asdict(data).items():
        setattr(product, name, value)
    product.version, product.updated_at = product.version + 1, now()
    try:
        changed = await products.update(product, auto_commit=True)
    except (DuplicateKeyError, IntegrityError):
        raise HTTPException("taken", status_code=409) from None
    return products.to_schema(changed, schema_type=ProductOut)


app = Litestar(
    [get_product, list_products, list_orders, create_order, replace_product],
    plugins=[SQLAlchemyPlugin(config=SQLAlchemyAsyncConfig(engine_instance=engine))],
    dependencies={
        **providers.create_service_dependencies(Products, "products"),
        **providers.create_service_dependencies(Orders, "orders"),
    },
)
