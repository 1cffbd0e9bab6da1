"""A FastAPI endpoint of the usual kind: a path parameter, a validated JSON body, a validated JSON reply."""

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI()


class Line(BaseModel):
    sku: str = Field(min_length=1, max_length=32)
    quantity: int = Field(gt=0)
    price: float = Field(ge=0)


class Order(BaseModel):
    customer: str = Field(min_length=1)
    lines: list[Line]


class Receipt(BaseModel):
    order_id: int
    customer: str
    items: int
    total: float


@app.post("/orders/{order_id}")
async def place(order_id: int, order: Order) -> Receipt:
    """Adds up an order."""
    items = sum(line.quantity for line in order.lines)
    total = sum(line.quantity * line.price for line in order.lines)
    return Receipt(order_id=order_id, customer=order.customer, items=items, total=total)
