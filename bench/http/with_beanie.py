"""The order app's products and orders as one would write them with FastAPI and Beanie.

The same fields and the same rules as Pulpo's order app: references are looked up, an order's lines must add up, a
change of the stock is booked as a movement. Amounts are Decimal128, writes are acknowledged by a majority.

With BENCH_TRANSACTIONS=1 a movement and its product are written in one transaction, as Pulpo writes them; without it
one after the other, which costs less: Beanie's documentation shows no transaction.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import uuid4

from beanie import DecimalAnnotation, Document, Indexed, init_beanie
from beanie.operators import In
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field
from pymongo import ASCENDING, AsyncMongoClient, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

URL = os.environ["BENCH_DATABASE"]
TRANSACTIONS = os.environ.get("BENCH_TRANSACTIONS") == "1"
Money = Annotated[DecimalAnnotation, Field(ge=0, max_digits=18, decimal_places=2)]


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return uuid4().hex


class Address(BaseModel):
    id: str
    street: str
    city: str
    state: str
    zip_code: str


class Customer(Document):
    id: str = Field(default_factory=new_id)
    email: Annotated[str, Indexed(unique=True)]
    name: str
    addresses: list[Address] = Field(default_factory=list)

    class Settings:
        name = "customers"


class ProductIn(BaseModel):
    sku: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=200)
    price: Money
    inventory: int = Field(default=0, ge=0)
    active: bool = True
    weight_grams: int = Field(default=400, ge=1, le=30_000)
    category: str = ""
    location: str = ""


class Stamped(BaseModel):
    version: int = 1
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)


class Product(Document, ProductIn, Stamped):
    id: str = Field(default_factory=new_id)
    sku: Annotated[str, Indexed(unique=True)]
    inventory: Annotated[int, Indexed()] = 0
    category: Annotated[str, Indexed()] = ""
    created_at: Annotated[datetime, Indexed()] = Field(default_factory=now)
    on_hand: int = 0
    reserved: int = 0

    class Settings:
        name = "products"


class StockMovement(Document, Stamped):
    id: str = Field(default_factory=new_id)
    product_id: Annotated[str, Indexed()]
    kind: str
    on_hand_change: int
    reason: str = ""

    class Settings:
        name = "stock_movements"


class OrderStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class OrderItem(BaseModel):
    product_id: str
    quantity: int = Field(ge=1, le=100_000)
    unit_price: Money
    total_price: Money = Decimal(0)


class OrderIn(BaseModel):
    order_number: str = Field(min_length=1, max_length=64)
    customer_id: str
    items: list[OrderItem] = Field(min_length=1, max_length=100)
    total: Money
    shipping_address_id: str
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")


class Order(Document, OrderIn, Stamped):
    id: str = Field(default_factory=new_id)
    order_number: Annotated[str, Indexed(unique=True)]
    customer_id: Annotated[str, Indexed()]
    created_at: Annotated[datetime, Indexed()] = Field(default_factory=now)
    status: OrderStatus = OrderStatus.PENDING
    tracking_number: Annotated[str | None, Indexed()] = None
    fulfilment: Annotated[str, Indexed()] = "none"
    shipping_cost: Money | None = None
    amount_due: Money | None = None
    quote_id: str | None = None
    reserved_at: datetime | None = None
    shipped_at: datetime | None = None
    cancelled_at: datetime | None = None

    class Settings:
        name = "orders"
        indexes: ClassVar = [IndexModel([("status", ASCENDING), ("created_at", ASCENDING)])]


MODELS = [Customer, Product, StockMovement, Order]
client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(URL, w="majority", tz_aware=True, connect=False)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await init_beanie(database=client.get_default_database(), document_models=MODELS)
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)
Limit = Annotated[int, Query(ge=1, le=100)]


@app.get("/products/{id}", response_model_by_alias=False)
async def get_product(id: str) -> Product:
    product = await Product.get(id)
    if product is None:
        raise HTTPException(404, "no such product")
    return product


@app.get("/products", response_model_by_alias=False)
async def list_products(limit: Limit = 50) -> list[Product]:
    return await Product.find_all().sort(-Product.created_at).limit(limit).to_list()


@app.get("/orders", response_model_by_alias=False)
async def list_orders(status: OrderStatus | None = None, limit: Limit = 50) -> list[Order]:
    wanted = Order.find_all() if status is None else Order.find(Order.status == status)
    return await wanted.sort(-Order.created_at).limit(limit).to_list()


@app.post("/orders", status_code=201, response_model_by_alias=False)
async def create_order(given: OrderIn) -> Order:
    customer = await Customer.get(given.customer_id)
    if customer is None or all(each.id != given.shipping_address_id for each in customer.addresses):
        raise HTTPException(422, "no such customer or address")
    wanted = {item.product_id for item in given.items}
    if await Product.find(In(Product.id, wanted)).count() != len(wanted):
        raise HTTPException(422, "no such product")
    for item in given.items:
        item.total_price = item.unit_price * item.quantity
    if given.total != sum(item.total_price for item in given.items):
        raise HTTPException(422, "the total is not the sum of the lines")
    order = Order(**given.model_dump())
    try:
        await order.insert()
    except DuplicateKeyError:
        raise HTTPException(409, "taken") from None
    return order


@app.put("/products/{id}", response_model_by_alias=False)
async def replace_product(id: str, given: ProductIn) -> Product:
    async def change(session: AsyncClientSession | None = None) -> Product:
        product = await Product.get(id, session=session)
        if product is None:
            raise HTTPException(404, "no such product")
        moved = given.inventory - product.inventory
        if moved:
            product.on_hand += moved
            movement = StockMovement(product_id=id, kind="adjustment", on_hand_change=moved, reason="edited by hand")
            await movement.insert(session=session)
        for name, value in given:
            setattr(product, name, value)
        product.version, product.updated_at = product.version + 1, now()
        await product.replace(session=session)
        return product

    try:
        if not TRANSACTIONS:
            return await change()
        async with client.start_session() as session:
            return await session.with_transaction(change)
    except DuplicateKeyError:
        raise HTTPException(409, "taken") from None
