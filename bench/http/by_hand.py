"""The order app's products and orders as one would write them with FastAPI and SQLModel, on an async session.

The same fields and the same rules as Pulpo's order app: references are looked up, an order's lines must add up, a
change of the stock is booked as a movement.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import StringConstraints
from sqlalchemy import JSON, Index, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Column, Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['BENCH_DATABASE']}", connect_args={"timeout": 30})


@event.listens_for(engine.sync_engine, "connect")
def durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


async def session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine, expire_on_commit=False) as opened:
        yield opened


SessionDep = Annotated[AsyncSession, Depends(session)]


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return uuid4().hex


class Customer(SQLModel, table=True):
    id: str = Field(default_factory=new_id, primary_key=True)
    email: str = Field(unique=True)
    name: str
    addresses: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class ProductIn(SQLModel):
    sku: str = Field(min_length=1, max_length=64, unique=True)
    name: str = Field(min_length=1, max_length=200)
    price: Decimal = Field(ge=0, max_digits=18, decimal_places=2)
    inventory: int = Field(default=0, ge=0, index=True)
    active: bool = True
    weight_grams: int = Field(default=400, ge=1, le=30_000)
    category: str = Field(default="", index=True)
    location: str = ""


class Stamped(SQLModel):
    version: int = 1
    created_at: datetime = Field(default_factory=now, index=True)
    updated_at: datetime = Field(default_factory=now)


class Product(ProductIn, Stamped, table=True):
    id: str = Field(default_factory=new_id, primary_key=True)
    on_hand: int = 0
    reserved: int = 0


class ProductOut(ProductIn, Stamped):
    id: str
    on_hand: int
    reserved: int


class StockMovement(Stamped, table=True):
    id: str = Field(default_factory=new_id, primary_key=True)
    product_id: str = Field(foreign_key="product.id", index=True)
    kind: str
    on_hand_change: int
    reason: str = ""


class OrderStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class OrderItem(SQLModel):
    product_id: str
    quantity: int = Field(ge=1, le=100_000)
    unit_price: Decimal = Field(ge=0, max_digits=18, decimal_places=2)
    total_price: Decimal = Field(default=Decimal(0), ge=0, max_digits=18, decimal_places=2)


class OrderBase(SQLModel):
    order_number: str = Field(min_length=1, max_length=64, unique=True)
    customer_id: str = Field(foreign_key="customer.id", index=True)
    total: Decimal = Field(ge=0, max_digits=18, decimal_places=2)
    shipping_address_id: str
    currency: str = "USD"


class OrderIn(OrderBase):
    items: list[OrderItem] = Field(min_length=1, max_length=100)
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = "USD"  # SQLModel's `regex=` holds nobody to it


class OrderState(Stamped):
    status: OrderStatus = OrderStatus.PENDING
    tracking_number: str | None = Field(default=None, index=True)
    fulfilment: str = Field(default="none", index=True)
    shipping_cost: Decimal | None = None
    amount_due: Decimal | None = None
    quote_id: str | None = None
    reserved_at: datetime | None = None
    shipped_at: datetime | None = None
    cancelled_at: datetime | None = None


class Order(OrderBase, OrderState, table=True):
    __table_args__ = (Index("order_by_status", "status", "created_at"),)
    id: str = Field(default_factory=new_id, primary_key=True)
    items: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))


class OrderOut(OrderBase, OrderState):
    id: str
    items: list[OrderItem]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
Limit = Annotated[int, Query(ge=1, le=100)]


@app.get("/products/{id}", response_model=ProductOut)
async def get_product(id: str, db: SessionDep) -> Any:
    product = await db.get(Product, id)
    if product is None:
        raise HTTPException(404, "no such product")
    return product


@app.get("/products", response_model=list[ProductOut])
async def list_products(db: SessionDep, limit: Limit = 50) -> Any:
    return (await db.exec(select(Product).order_by(Product.created_at.desc()).limit(limit))).all()


@app.get("/orders", response_model=list[OrderOut])
async def list_orders(db: SessionDep, status: OrderStatus | None = None, limit: Limit = 50) -> Any:
    wanted = select(Order).order_by(Order.created_at.desc()).limit(limit)
    if status is not None:
        wanted = wanted.where(Order.status == status)
    return (await db.exec(wanted)).all()


async def save(db: AsyncSession) -> None:
    try:
        await db.commit()
    except IntegrityError:
        raise HTTPException(409, "taken") from None


@app.post("/orders", response_model=OrderOut, status_code=201)
async def create_order(given: OrderIn, db: SessionDep) -> Any:
    customer = await db.get(Customer, given.customer_id)
    if customer is None or all(each["id"] != given.shipping_address_id for each in customer.addresses):
        raise HTTPException(422, "no such customer or address")
    wanted = {item.product_id for item in given.items}
    if len((await db.exec(select(Product.id).where(Product.id.in_(wanted)))).all()) != len(wanted):
        raise HTTPException(422, "no such product")
    for item in given.items:
        item.total_price = item.unit_price * item.quantity
    if given.total != sum(item.total_price for item in given.items):
        raise HTTPException(422, "the total is not the sum of the lines")
    items = [item.model_dump(mode="json") for item in given.items]
    order = Order(**given.model_dump(exclude={"items"}), items=items)
    db.add(order)
    await save(db)
    return order


@app.put("/products/{id}", response_model=ProductOut)
async def replace_product(id: str, given: ProductIn, db: SessionDep) -> Any:
    product = await db.get(Product, id)
    if product is None:
        raise HTTPException(404, "no such product")
    change = given.inventory - product.inventory
    if change:
        product.on_hand += change
        movement = StockMovement(product_id=id, kind="adjustment", on_hand_change=change, reason="edited by hand")
        db.add(movement)
    product.sqlmodel_update(given.model_dump(), update={"updated_at": now(), "version": product.version + 1})
    db.add(product)
    await save(db)
    return product
