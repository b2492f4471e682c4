"""Whole lives of sagas as they are recorded: made by the core beforehand, so that a benchmark of
the log and of the status view measures these alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from saga_orchestrator.fsm.call_outcome import CallOutcome, Outcome
from saga_orchestrator.fsm.decider.decide import decide, start
from saga_orchestrator.fsm.decider.decision import Decision
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.events import Event
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml
from saga_orchestrator.fsm.inputs import CallCompleted, StartSaga
from saga_orchestrator.fsm.runtime.clock import saga_id
from saga_orchestrator.fsm.saga import Saga

ORDER = Path(__file__).parent.parent / "fsm/definitions/builtin/order_processing.yaml"
STEP_DATA: list[Any] = [
    {"customer_id": 1, "total_amount": 50.0},
    {"order_id": 123, "amount": 50.0, "payment_method": "credit_card"},
    {"order_id": 123},
]


@dataclass(frozen=True, slots=True)
class Stage:
    """One append: `events` follow `version` and make `saga`."""

    version: int
    events: tuple[Event, ...]
    saga: Saga


Life = tuple[Stage, ...]


def order_definition() -> Definition:
    return parse_definition(parse_yaml(ORDER.read_text()))


def lives(count: int, shards: int, now: datetime) -> list[Life]:
    """Three-step orders that complete: four appends, eight events. Their names are those of `now`,
    spread over the shards."""
    definition, milliseconds = order_definition(), int(now.timestamp() * 1000)
    names = (saga_id(milliseconds, one << 8, one % shards, shards) for one in range(count))
    return [tuple(_stages(definition, name, now)) for name in names]


def _stages(definition: Definition, name: str, now: datetime) -> Iterator[Stage]:
    request = StartSaga(entity_id=4711, input={"step_data": STEP_DATA})
    decision, version = start(definition, name, request, now=now), 0
    while True:
        yield Stage(version, decision.events, decision.saga)
        version += len(decision.events)
        if not decision.calls:
            return
        decision = _answered(decision, now)


def _answered(decision: Decision, now: datetime) -> Decision:
    call = decision.calls[0]
    verdict = CallOutcome(kind=Outcome.DONE, output={"order_id": 123, "payment_id": 456})
    happening = CallCompleted(
        step=call.step, direction=call.direction, attempt=call.attempt, outcome=verdict
    )
    return decide(decision.saga, happening, now=now, jitter=0.5)
