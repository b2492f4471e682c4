"""payment-service: takes payments and refunds them.

    PAID ──compensate──▶ REFUNDED

A declined payment makes no row: only the answer is kept, under the key of the call. The switch at
/decline makes every card decline, with which the demo shows a saga that compensates; the switch is
durable, so a restart does not change it.
"""

from __future__ import annotations

import argparse
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
    setting_route,
)

NAME = "payment-service"
PORT = 8004
MAX_LISTED = 1000  # payments in one answer


class PaymentStatus(StrEnum):
    PAID = "PAID"
    REFUNDED = "REFUNDED"


class NewPayment(BaseModel):
    """A new payment. A status in the request is ignored: a payment that is taken is PAID."""

    order_id: Id
    amount: Money
    payment_method: str = Field(min_length=1, max_length=50)


class DeclineSwitch(BaseModel):
    declined: bool


def create_app(data: Path, *, decline: bool = False) -> Starlette:
    """Return the app; `decline` turns the switch on, and otherwise it stays as it was."""
    ledger = Ledger(data / f"{NAME}.sqlite3", schema="payment_schema")
    if decline:
        with ledger.transaction() as book:
            book.row("set_decline", declined=True)
    return application(NAME, ledger, routes(ledger))


def routes(ledger: Ledger) -> Sequence[Route]:
    return [
        Route("/payments", read_endpoint(ledger, list_payments), methods=["GET"]),
        action_route(ledger, "/payments", pay),
        Route("/payments/{payment_id:int}", read_endpoint(ledger, show_payment)),
        compensation_route(ledger, "/payments/{payment_id:int}/compensate", compensate),
        compensation_route(ledger, "/payments/{action_key:path}/compensate", compensate_by_key),
        Route("/decline", read_endpoint(ledger, show_decline), methods=["GET"]),
        setting_route(ledger, "/decline", set_decline),
    ]


def pay(book: Transaction, call: Call) -> Answer:
    payment = NewPayment.model_validate_json(call.body)
    if is_declining(book):
        return refusal(HTTPStatus.PAYMENT_REQUIRED, "card declined")
    row = book.row(
        "insert_payment",
        status=PaymentStatus.PAID,
        order_id=payment.order_id,
        amount_cents=to_cents(payment.amount),
        payment_method=payment.payment_method,
        saga_id=call.saga_id,
        action_key=call.key,
    )
    assert row is not None, "an insert returns its row"
    return Answer(HTTPStatus.CREATED, view(row))


def compensate(book: Transaction, call: Call) -> Answer:
    return refund(book, call.ids["payment_id"])


def compensate_by_key(book: Transaction, call: Call) -> Answer:
    """Refund the payment that the action `named` made, or prevent it if it was not made yet."""
    key = call.named
    barrier.remember_undone(book, key)
    row = book.row("find_payment_by_key", action_key=key)
    if row is None:
        return Answer(HTTPStatus.OK, {"status": "NOTHING_TO_REFUND", "key": key})
    return refund(book, row["payment_id"])


def refund(book: Transaction, payment_id: int) -> Answer:
    row = book.row("set_payment_status", payment_id=payment_id, status=PaymentStatus.REFUNDED)
    if row is None:
        return refusal(HTTPStatus.NOT_FOUND, f"there is no payment {payment_id}")
    return Answer(HTTPStatus.OK, view(row))


def show_payment(book: Transaction, request: Request) -> JsonObject | None:
    row = book.row("find_payment", payment_id=min(request.path_params["payment_id"], MAX_ID))
    return None if row is None else view(row)


def list_payments(book: Transaction, request: Request) -> JsonObject:
    """List the payments, the newest first; `?saga_id=` selects those of one saga."""
    rows = book.rows("list_payments", saga_id=request.query_params.get("saga_id"), limit=MAX_LISTED)
    return {"payments": [view(row) for row in rows]}


def show_decline(book: Transaction, _: Request) -> JsonObject:
    return {"declined": is_declining(book)}


def set_decline(book: Transaction, call: Call) -> Answer:
    declined = DeclineSwitch.model_validate_json(call.body).declined
    book.row("set_decline", declined=declined)
    return Answer(HTTPStatus.OK, {"declined": declined})


def is_declining(book: Transaction) -> bool:
    row = book.row("find_decline")
    return row is not None and bool(row["declined"])


def view(row: sqlite3.Row) -> JsonObject:
    return {
        "payment_id": row["payment_id"],
        "order_id": row["order_id"],
        "amount": from_cents(row["amount_cents"]),
        "payment_method": row["payment_method"],
        "status": row["status"],
        "saga_id": row["saga_id"],
    }


def parse_arguments() -> argparse.Namespace:
    parser = argument_parser(NAME, PORT)
    parser.add_argument("--decline", action="store_true", help="decline every card from now on")
    return parser.parse_args()


def main() -> int:
    given = parse_arguments()
    build_app = partial(create_app, given.data, decline=given.decline)
    return serve(NAME, build_app, host=given.host, port=given.port)


if __name__ == "__main__":
    sys.exit(main())
