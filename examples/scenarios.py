"""The scenarios of the demo: one order that completes, and one whose card is declined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from .saga_client import SagaSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a saga, as its client and the participants see it."""

    status: str
    success: bool
    error: str | None
    orders: tuple[str, ...]
    payments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One order to run, and the outcome that it must have."""

    title: str
    entity_id: int
    declined: bool
    expected: Outcome


SCENARIOS = (
    Scenario(
        title="One order that completes",
        entity_id=123,
        declined=False,
        expected=Outcome(
            status="completed",
            success=True,
            error=None,
            orders=("CONFIRMED",),
            payments=("PAID",),
        ),
    ),
    Scenario(
        title="One order whose card is declined",
        entity_id=124,
        declined=True,
        expected=Outcome(
            status="compensated",
            success=False,
            error="process_payment was rejected: 402 card declined",
            orders=("CANCELLED",),
            payments=(),
        ),
    ),
)


def order_request(entity_id: int) -> Mapping[str, object]:
    """Return the body of POST /sagas/start; its order_id is replaced by that of the new order."""
    bought = {"menu_item_id": 1, "quantity": 2, "price": 25.00}
    placed = {
        "customer_id": 1,
        "restaurant_id": 2,
        "total_amount": 50.00,
        "delivery_address": "123 Main St",
        "delivery_latitude": 40.7128,
        "delivery_longitude": -74.0060,
        "status": "PENDING_PAYMENT",
        "items": [bought],
    }
    paid = {
        "order_id": entity_id,
        "amount": 50.00,
        "payment_method": "credit_card",
        "status": "PENDING",
    }
    return {
        "saga_type": "order_processing",
        "entity_id": entity_id,
        "step_data": [placed, paid, {"order_id": entity_id}],
    }


def outcome(story: SagaSnapshot) -> Outcome:
    return Outcome(
        status=story.status.status,
        success=story.status.success,
        error=story.status.error,
        orders=tuple(each.status for each in story.orders),
        payments=tuple(each.status for each in story.payments),
    )


def mismatches(scene: Scenario, story: SagaSnapshot) -> Iterator[str]:
    """Yield a line for each member of the outcome that is not as expected."""
    actual = outcome(story)
    for field in fields(Outcome):
        value, expected = getattr(actual, field.name), getattr(scene.expected, field.name)
        if value != expected:
            yield f"{scene.title}: {field.name} is {value!r}, and should be {expected!r}"
