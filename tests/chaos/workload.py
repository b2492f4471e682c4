"""What each customer wants, and how they go about it: drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from saga_orchestrator.examples.scenarios import order_request


class SagaKind(StrEnum):
    """The type of its saga."""

    ORDER = "order_processing"
    APPROVED = "approved_order"
    PARCEL = "parcel_order"
    TRIAL = "trial_order"
    DOUBLE = "double_order"


class OperatorCommand(StrEnum):
    """What is asked of a saga that has begun: the verb, as it stands in the path."""

    CANCEL = "cancel"
    COMPENSATE = "compensate"
    RETRY = "retry"
    PAUSE = "pause"  # and to go on again later


SAGA_KINDS: Final = (SagaKind.ORDER, SagaKind.ORDER, *SagaKind)
OPERATOR_COMMANDS: Final = (*OperatorCommand, *(None,) * 6)
MAX_COMMAND_DELAY_SECONDS: Final = 3.0
SIGNALS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """`regret` is what the customer asks of the saga `after` seconds.

    Who is `hasty` asks two nodes at once, and repeats what has been answered already. `parcel` is
    what parcel-service is to make of it.
    """

    number: int
    kind: SagaKind
    prefer: str
    pays: bool
    is_duplicated: bool
    parcel: Mapping[str, Any]
    operator_command: OperatorCommand | None
    command_delay_seconds: float
    has_webhook: bool  # of its rest, at a callback URL

    @property
    def key(self) -> str:
        return f"order-{self.number}"

    @property
    def body(self) -> Mapping[str, Any]:
        plain: dict[str, Any] = dict(order_request(self.number))
        placed, paid, _ = plain["step_data"]
        if not self.pays:  # no way to pay: the payment is refused
            paid["payment_method"] = ""
        if self.kind is SagaKind.ORDER:
            return plain
        given = {"order": placed, "payment": paid}
        match self.kind:
            case SagaKind.PARCEL:
                given |= {"parcel": self.parcel}
            case SagaKind.DOUBLE:
                given |= {"other": {"order": placed, "payment": {**paid, "payment_method": "cash"}}}
        return {"saga_type": self.kind, "entity_id": self.number, "input": given}


def plan_order(seed: int, number: int) -> PlannedOrder:
    chance = random.Random(f"{seed}/{number}")
    return PlannedOrder(
        number=number,
        kind=chance.choice(SAGA_KINDS),
        prefer=chance.choice(["respond-async", "wait=5"]),
        pays=chance.random() < 0.8,
        is_duplicated=chance.random() < 0.3,
        parcel={
            "arrives": chance.random() < 0.8,
            "takes": round(chance.uniform(0, 3), 2),
            "overtakes": chance.random() < 0.2,
            "says_again": chance.choice(["the same", "the contrary", None]),
        },
        operator_command=chance.choice(OPERATOR_COMMANDS),
        command_delay_seconds=chance.uniform(0, MAX_COMMAND_DELAY_SECONDS),
        has_webhook=chance.random() < 0.4,
    )
