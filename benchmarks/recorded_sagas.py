"""Complete histories of sagas, made by the core beforehand, so that a benchmark of the log and the
status table measures these alone."""

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
class Append:
    """One append: `events` follow `version` and make `saga`."""

    version: int
    events: tuple[Event, ...]
    saga: Saga


RecordedSaga = tuple[Append, ...]


def order_definition() -> Definition:
    return parse_definition(parse_yaml(ORDER.read_text()))


def record_orders(count: int, shards: int, now: datetime) -> list[RecordedSaga]:
    """Return three-step orders that complete, with four appends and eight events each, spread over
    the shards."""
    definition, milliseconds = order_definition(), int(now.timestamp() * 1000)
    names = (saga_id(milliseconds, number << 8, number % shards, shards) for number in range(count))
    return [tuple(_appends(definition, name, now)) for name in names]


def _appends(definition: Definition, name: str, now: datetime) -> Iterator[Append]:
    request = StartSaga(entity_id=4711, input={"step_data": STEP_DATA})
    decision, version = start(definition, name, request, now=now), 0
    while True:
        yield Append(version, decision.events, decision.saga)
        version += len(decision.events)
        if not decision.calls:
            return
        decision = _after_reply(decision, now)


def _after_reply(decision: Decision, now: datetime) -> Decision:
    call = decision.calls[0]
    call_outcome = CallOutcome(kind=Outcome.DONE, output={"order_id": 123, "payment_id": 456})
    call_completed = CallCompleted(
        step=call.step, direction=call.direction, attempt=call.attempt, outcome=call_outcome
    )
    return decide(decision.saga, call_completed, now=now, jitter=0.5)
