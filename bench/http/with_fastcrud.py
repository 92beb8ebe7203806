"""The same with FastCRUD on SQLAlchemy: its methods in FastAPI's routes, as it teaches for rules of one's own."""

from typing import Annotated, Any

from by_hand import (
    Customer,
    Limit,
    Order,
    OrderIn,
    OrderOut,
    OrderStatus,
    Product,
    ProductIn,
    ProductOut,
    SessionDep,
    StockMovement,
    lifespan,
    now,
)
from fastapi import FastAPI, HTTPException, Query
from fastcrud import FastCRUD
from sqlalchemy.exc import IntegrityError

customers, products, orders, movements = FastCRUD(Customer), FastCRUD(Product), FastCRUD(Order), FastCRUD(StockMovement)
app = FastAPI(lifespan=lifespan)
Status = Annotated[OrderStatus | None, Query()]


@app.get("/products/{id}", response_model=ProductOut)
async def get_product(id: str, db: SessionDep) -> Any:
    product = await products.get(db, id=id, schema_to_select=ProductOut)
    if product is None:
        raise HTTPException(404, "no such product")
    return product


@app.get("/products", response_model=list[ProductOut])
async def list_products(db: SessionDep, limit: Limit = 50) -> Any:
    found = await products.get_multi(
        db, limit=limit, sort_columns="created_at", sort_orders="desc", schema_to_select=ProductOut
    )
    return found["data"]


@app.get("/orders", response_model=list[OrderOut])
async def list_orders(db: SessionDep, status: Status = None, limit: Limit = 50) -> Any:
    wanted = {} if status is None else {"status": status}
    found = await orders.get_multi(
        db, limit=limit, sort_columns="created_at", sort_orders="desc", schema_to_select=OrderOut, **wanted
    )
    return found["data"]


@app.post("/orders", response_model=OrderOut, status_code=201)
async def create_order(given: OrderIn, db: SessionDep) -> Any:
    customer = await customers.get(db, id=given.customer_id)
    if customer is None or all(each["id"] != given.shipping_address_id for each in customer["addresses"]):
        raise HTTPException(422, "no such customer or address")
    wanted = {item.product_id for item in given.items}
    if await products.count(db, id__in=list(wanted)) != len(wanted):
        raise HTTPException(422, "no such product")
    for item in given.items:
        item.total_price = item.unit_price * item.quantity
    if given.total != sum(item.total_price for item in given.items):
        raise HTTPException(422, "the total is not the sum of the lines")
    items = [item.model_dump(mode="json") for item in given.items]
    order = Order(**given.model_dump(exclude={"items"}), items=items)
    try:
        return await orders.create(db, order, schema_to_select=OrderOut)
    except IntegrityError:
        raise HTTPException(409, "taken") from None


@app.put("/products/{id}", response_model=ProductOut)
async def replace_product(id: str, given: ProductIn, db: SessionDep) -> Any:
    product = await products.get(db, id=id)
    if product is None:
        raise HTTPException(404, "no such product")
    change = given.inventory - product["inventory"]
    if change:
        booked = StockMovement(product_id=id, kind="adjustment", on_hand_change=change, reason="edited by hand")
        await movements.create(db, booked, commit=False)
    more = {"on_hand": product["on_hand"] + change, "version": product["version"] + 1, "updated_at": now()}
    try:
        await products.update(db, {**given.model_dump(), **more}, id=id)
    except IntegrityError:
        raise HTTPException(409, "taken") from None
    return {**product, **given.model_dump(), **more}
