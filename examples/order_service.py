"""order-service: creates orders, confirms them, cancels them.

    PENDING_PAYMENT ──confirm──▶ CONFIRMED
           │                         │
           └──────compensate─────────┴──▶ CANCELLED

A cancelled order stays cancelled. Cancelling also undoes a confirmation, so the saga's step
confirm_order needs no compensation of its own.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from pathlib import Path

from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from . import barrier
from .call import MAX_ID, Answer, Call, Id, JsonObject, refusal
from .ledger import Ledger, Transaction
from .money import Money, from_cents, to_cents
from .participant import (
    action_route,
    application,
    argument_parser,
    compensation_route,
    read_endpoint,
    serve,
)

NAME = "order-service"
PORT = 8003
MAX_LISTED = 1000  # orders in one answer


class OrderStatus(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"


class OrderedItem(BaseModel):
    menu_item_id: Id
    quantity: int = Field(ge=1, le=1000)
    price: Money


class NewOrder(BaseModel):
    """A new order. A status in the request is ignored: an order starts as PENDING_PAYMENT."""

    customer_id: Id
    restaurant_id: Id
    total_amount: Money
    delivery_address: str = Field(min_length=1, max_length=500)
    delivery_latitude: float = Field(ge=-90, le=90)
    delivery_longitude: float = Field(ge=-180, le=180)
    items: list[OrderedItem] = Field(min_length=1, max_length=100)


class Confirmation(BaseModel):
    order_id: Id


def create_app(data: Path) -> Starlette:
    ledger = Ledger(data / f"{NAME}.sqlite3", schema="order_schema")
    return application(NAME, ledger, routes(ledger))


def routes(ledger: Ledger) -> Sequence[Route]:
    return [
        Route("/orders", read_endpoint(ledger, list_orders), methods=["GET"]),
        action_route(ledger, "/orders", create),
        Route("/orders/{order_id:int}", read_endpoint(ledger, show_order)),
        action_route(ledger, "/orders/{order_id:int}/confirm", confirm),
        compensation_route(ledger, "/orders/{order_id:int}/compensate", compensate),
        compensation_route(ledger, "/orders/{action_key:path}/compensate", compensate_by_key),
    ]


def create(book: Transaction, call: Call) -> Answer:
    order = NewOrder.model_validate_json(call.body)
    row = book.row(
        "insert_order",
        status=OrderStatus.PENDING_PAYMENT,
        customer_id=order.customer_id,
        restaurant_id=order.restaurant_id,
        total_cents=to_cents(order.total_amount),
        delivery_address=order.delivery_address,
        delivery_latitude=order.delivery_latitude,
        delivery_longitude=order.delivery_longitude,
        items=json.dumps([item_view(item) for item in order.items]),
        saga_id=call.saga_id,
        action_key=call.key,
    )
    assert row is not None, "an insert returns its row"
    return Answer(HTTPStatus.CREATED, view(row))


def confirm(book: Transaction, call: Call) -> Answer:
    order_id = call.ids["order_id"]
    if call.body and Confirmation.model_validate_json(call.body).order_id != order_id:
        return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "order_id is not the order of this path")
    row = book.row("find_order", order_id=order_id)
    if row is None:
        return no_such_order(order_id)
    if row["status"] == OrderStatus.CANCELLED:
        return refusal(HTTPStatus.CONFLICT, f"order {order_id} is cancelled")
    return set_status(book, order_id, OrderStatus.CONFIRMED)


def compensate(book: Transaction, call: Call) -> Answer:
    return set_status(book, call.ids["order_id"], OrderStatus.CANCELLED)


def compensate_by_key(book: Transaction, call: Call) -> Answer:
    """Cancel the order that the action `named` made, or prevent it if it was not made yet."""
    key = call.named
    barrier.remember_undone(book, key)
    row = book.row("find_order_by_key", action_key=key)
    if row is None:
        return Answer(HTTPStatus.OK, {"status": "NOTHING_TO_CANCEL", "key": key})
    return set_status(book, row["order_id"], OrderStatus.CANCELLED)


def set_status(book: Transaction, order_id: int, status: OrderStatus) -> Answer:
    row = book.row("set_order_status", order_id=order_id, status=status)
    return no_such_order(order_id) if row is None else Answer(HTTPStatus.OK, view(row))


def no_such_order(order_id: int) -> Answer:
    return refusal(HTTPStatus.NOT_FOUND, f"there is no order {order_id}")


def show_order(book: Transaction, request: Request) -> JsonObject | None:
    row = book.row("find_order", order_id=min(request.path_params["order_id"], MAX_ID))
    return None if row is None else view(row)


def list_orders(book: Transaction, request: Request) -> JsonObject:
    """List the orders, the newest first; `?saga_id=` selects those of one saga."""
    rows = book.rows("list_orders", saga_id=request.query_params.get("saga_id"), limit=MAX_LISTED)
    return {"orders": [view(row) for row in rows]}


def view(row: sqlite3.Row) -> JsonObject:
    return {
        "order_id": row["order_id"],
        "status": row["status"],
        "customer_id": row["customer_id"],
        "restaurant_id": row["restaurant_id"],
        "total_amount": from_cents(row["total_cents"]),
        "delivery_address": row["delivery_address"],
        "delivery_latitude": row["delivery_latitude"],
        "delivery_longitude": row["delivery_longitude"],
        "items": json.loads(row["items"]),
        "saga_id": row["saga_id"],
    }


def item_view(item: OrderedItem) -> JsonObject:
    return {
        "menu_item_id": item.menu_item_id,
        "quantity": item.quantity,
        "price": from_cents(to_cents(item.price)),
    }


def main() -> int:
    given = argument_parser(NAME, PORT).parse_args()
    return serve(NAME, partial(create_app, given.data), host=given.host, port=given.port)


if __name__ == "__main__":
    sys.exit(main())
