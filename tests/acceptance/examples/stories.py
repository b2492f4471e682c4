"""The shipped examples: what each is started with, and what has an effect, in order."""

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
SIDE_BY_SIDE = ("book_flight", "book_hotel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`steps` are those that a participant is called for, those of a child included.

    `beyond` are the ones after the pivot, which is the last of the others then.
    """

    saga_type: str
    input: Mapping[str, Any]
    steps: Sequence[str]
    beyond: Sequence[str] = ()

    def __str__(self) -> str:
        return self.saga_type

    def done_without(self, step: str) -> list[str]:
        """What takes effect when `step` does not."""
        stands = self.steps[: self.steps.index(step)]
        beside = [one for one in SIDE_BY_SIDE if step in SIDE_BY_SIDE]
        return [one for one in self.steps if one != step and (one in stands or one in beside)]


STORIES = (
    Story(
        saga_type="travel_booking",
        input=TRIP,
        steps=(*SIDE_BY_SIDE, "charge_card"),
    ),
    Story(
        saga_type="money_transfer",
        input={"from": "NL01", "to": "NL02", "amount": 25, "currency": "EUR"},
        steps=("withdraw", "deposit"),
        beyond=("write_statement",),
    ),
    Story(
        saga_type="subscription",
        input={"customer": 7, "plan": "monthly", "card": "4242", "amount": 9.99},
        steps=("open_subscription", "charge_first_month", "activate"),
    ),
    Story(
        saga_type="company_trip",
        input={"cost_centre": "R&D", "trip": TRIP},
        steps=("reserve_budget", *SIDE_BY_SIDE, "charge_card", "enter_expense"),
    ),
    Story(
        saga_type="dtm_transfer",
        input={"from": "NL01", "to": "NL02", "amount": 25},
        steps=("trans_out", "trans_in"),
    ),
    Story(
        saga_type="payout",
        input={"account": "NL01", "iban": "NL02", "amount": 1000},
        steps=("reserve_funds", "clear", "book_funds"),
    ),
    Story(
        saga_type="ticket_sale",
        input={"show": "Tosca", "seats": ["A1", "A2"], "card": "4242", "amount": 180},
        steps=("hold_seats", "charge_card"),
        beyond=("print_tickets", "send_tickets"),
    ),
    Story(
        saga_type="shipment",
        input={"items": ["violin"], "value": 9000, "country": "JP"},
        steps=("pack", "insure", "declare", "hand_over"),
    ),
    Story(
        saga_type="gift_card",
        input={"card": "4242", "amount": 50, "recipient": "Bob"},
        steps=("charge_buyer", "issue_card", "send_card"),
    ),
)


def story(saga_type: str) -> Story:
    return next(one for one in STORIES if one.saga_type == saga_type)


def in_any_order_beside(effects: Sequence[str]) -> list[str]:
    """What runs side by side may come in any order: its places count, its names do not."""
    return [_beside(one) for one in effects]


def _beside(effect: str) -> str:
    undo = "undo " if effect.startswith("undo ") else ""
    return f"{undo}beside" if effect.removeprefix("undo ") in SIDE_BY_SIDE else effect
