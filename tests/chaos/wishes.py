"""What each customer wants, and how they go about it: drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from saga_orchestrator.examples.scenes import order


class Kind(StrEnum):
    """The type of its saga."""

    ORDER = "order_processing"
    APPROVED = "approved_order"
    PARCEL = "parcel_order"
    TRIAL = "trial_order"
    DOUBLE = "double_order"


class Regret(StrEnum):
    """What is asked of a saga that has begun: the verb, as it stands in the path."""

    CANCEL = "cancel"
    COMPENSATE = "compensate"
    RETRY = "retry"
    PAUSE = "pause"  # and to go on again later


KINDS: Final = (Kind.ORDER, Kind.ORDER, *Kind)
REGRETS: Final = (*Regret, *(None,) * 6)
LATEST_SECONDS: Final = 3.0
WORDS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Wish:
    """`regret` is what the customer asks of the saga `after` seconds.

    Who is `hasty` asks two nodes at once, and repeats what has been answered already. `parcel` is
    what parcel-service is to make of it.
    """

    number: int
    kind: Kind
    prefer: str
    pays: bool
    hasty: bool
    parcel: Mapping[str, Any]
    regret: Regret | None
    after: float
    is_told: bool  # of its rest, at a callback URL

    @property
    def key(self) -> str:
        return f"order-{self.number}"

    @property
    def body(self) -> Mapping[str, Any]:
        plain: dict[str, Any] = dict(order(self.number))
        placed, paid, _ = plain["step_data"]
        if not self.pays:  # no way to pay: the payment is refused
            paid["payment_method"] = ""
        if self.kind is Kind.ORDER:
            return plain
        given = {"order": placed, "payment": paid}
        match self.kind:
            case Kind.PARCEL:
                given |= {"parcel": self.parcel}
            case Kind.DOUBLE:
                given |= {"other": {"order": placed, "payment": {**paid, "payment_method": "cash"}}}
        return {"saga_type": self.kind, "entity_id": self.number, "input": given}


def wish(seed: int, number: int) -> Wish:
    chance = random.Random(f"{seed}/{number}")
    return Wish(
        number=number,
        kind=chance.choice(KINDS),
        prefer=chance.choice(["respond-async", "wait=5"]),
        pays=chance.random() < 0.8,
        hasty=chance.random() < 0.3,
        parcel={
            "arrives": chance.random() < 0.8,
            "takes": round(chance.uniform(0, 3), 2),
            "overtakes": chance.random() < 0.2,
            "says_again": chance.choice(["the same", "the contrary", None]),
        },
        regret=chance.choice(REGRETS),
        after=chance.uniform(0, LATEST_SECONDS),
        is_told=chance.random() < 0.4,
    )
