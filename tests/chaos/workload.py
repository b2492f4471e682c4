"""The orders of clients, and what happens to each: a function of the seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from saga_orchestrator.examples.scenarios import order_request


class SagaKind(StrEnum):
    """The types of sagas."""

    ORDER = "order_processing"
    APPROVED = "approved_order"
    PARCEL = "parcel_order"
    TRIAL = "trial_order"
    DOUBLE = "double_order"


class OperatorCommand(StrEnum):
    """The commands that are sent to running sagas, as in their paths."""

    CANCEL = "cancel"
    COMPENSATE = "compensate"
    RETRY = "retry"
    PAUSE = "pause"  # followed by a resume


SAGA_KINDS: Final = (SagaKind.ORDER, SagaKind.ORDER, *SagaKind)
OPERATOR_COMMANDS: Final = (*OperatorCommand, *(None,) * 6)
MAX_COMMAND_DELAY_SECONDS: Final = 3.0
SIGNALS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One order: `operator_command` is sent to its saga after `command_delay_seconds`.

    A duplicated order is sent to two nodes at once, and its signals are repeated. `parcel` says how
    parcel-service handles it.
    """

    number: int
    kind: SagaKind
    prefer: str
    pays: bool
    is_duplicated: bool
    parcel: Mapping[str, Any]
    operator_command: OperatorCommand | None
    command_delay_seconds: float
    has_webhook: bool  # at a callback URL

    @property
    def key(self) -> str:
        return f"order-{self.number}"

    @property
    def body(self) -> Mapping[str, Any]:
        plain: dict[str, Any] = dict(order_request(self.number))
        placed, paid, _ = plain["step_data"]
        if not self.pays:  # without a method the payment is refused
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
    """Return order `number` of a seed."""
    generator = random.Random(f"{seed}/{number}")
    return PlannedOrder(
        number=number,
        kind=generator.choice(SAGA_KINDS),
        prefer=generator.choice(["respond-async", "wait=5"]),
        pays=generator.random() < 0.8,
        is_duplicated=generator.random() < 0.3,
        parcel={
            "arrives": generator.random() < 0.8,
            "takes": round(generator.uniform(0, 3), 2),
            "overtakes": generator.random() < 0.2,
            "second_callback": generator.choice(["same", "opposite", None]),
        },
        operator_command=generator.choice(OPERATOR_COMMANDS),
        command_delay_seconds=generator.uniform(0, MAX_COMMAND_DELAY_SECONDS),
        has_webhook=generator.random() < 0.4,
    )
