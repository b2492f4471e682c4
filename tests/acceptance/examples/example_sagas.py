"""The shipped examples: the input of each, and its steps in the order of their effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TRIP = {
    "traveller": "Ada",
    "flight": "KL 1234",
    "hotel": "Zur Post",
    "nights": 3,
    "card": "4242",
    "amount": 810.50,
}
CONCURRENT_STEPS = ("book_flight", "book_hotel")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSaga:
    """`steps` are those that a participant is called for, those of a child included.

    `after_pivot` are the steps after the pivot, which is then the last of `steps`.
    """

    saga_type: str
    input: Mapping[str, Any]
    steps: Sequence[str]
    after_pivot: Sequence[str] = ()

    def __str__(self) -> str:
        return self.saga_type

    def effects_without(self, step: str) -> list[str]:
        """Return the steps that take effect when `step` does not."""
        earlier = self.steps[: self.steps.index(step)]
        concurrent = CONCURRENT_STEPS if step in CONCURRENT_STEPS else ()
        return [each for each in self.steps if each != step and each in (*earlier, *concurrent)]


EXAMPLE_SAGAS = (
    ExampleSaga(
        saga_type="travel_booking",
        input=TRIP,
        steps=(*CONCURRENT_STEPS, "charge_card"),
    ),
    ExampleSaga(
        saga_type="money_transfer",
        input={"from": "NL01", "to": "NL02", "amount": 25, "currency": "EUR"},
        steps=("withdraw", "deposit"),
        after_pivot=("write_statement",),
    ),
    ExampleSaga(
        saga_type="subscription",
        input={"customer": 7, "plan": "monthly", "card": "4242", "amount": 9.99},
        steps=("open_subscription", "charge_first_month", "activate"),
    ),
    ExampleSaga(
        saga_type="company_trip",
        input={"cost_centre": "R&D", "trip": TRIP},
        steps=("reserve_budget", *CONCURRENT_STEPS, "charge_card", "enter_expense"),
    ),
    ExampleSaga(
        saga_type="dtm_transfer",
        input={"from": "NL01", "to": "NL02", "amount": 25},
        steps=("trans_out", "trans_in"),
    ),
    ExampleSaga(
        saga_type="payout",
        input={"account": "NL01", "iban": "NL02", "amount": 1000},
        steps=("reserve_funds", "clear", "book_funds"),
    ),
    ExampleSaga(
        saga_type="ticket_sale",
        input={"show": "Tosca", "seats": ["A1", "A2"], "card": "4242", "amount": 180},
        steps=("hold_seats", "charge_card"),
        after_pivot=("print_tickets", "send_tickets"),
    ),
    ExampleSaga(
        saga_type="shipment",
        input={"items": ["violin"], "value": 9000, "country": "JP"},
        steps=("pack", "insure", "declare", "hand_over"),
    ),
    ExampleSaga(
        saga_type="gift_card",
        input={"card": "4242", "amount": 50, "recipient": "Bob"},
        steps=("charge_buyer", "issue_card", "send_card"),
    ),
)


def example_saga(saga_type: str) -> ExampleSaga:
    return next(each for each in EXAMPLE_SAGAS if each.saga_type == saga_type)


def ignoring_concurrent_order(effects: Sequence[str]) -> list[str]:
    """Replace the names of concurrent steps, whose order is not determined."""
    return [_without_concurrent_name(effect) for effect in effects]


def _without_concurrent_name(effect: str) -> str:
    undo = "undo " if effect.startswith("undo ") else ""
    return f"{undo}concurrent" if effect.removeprefix("undo ") in CONCURRENT_STEPS else effect
