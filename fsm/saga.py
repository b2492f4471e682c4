"""A saga: its definition, its state, and the data that its expressions read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from .call_outcome import Direction
from .definitions.definition import Definition, Step
from .errors import CorruptStream
from .events import Event, SagaStarted
from .expressions.template import Scope
from .formats.strict_json import Json
from .machines import StepStatus
from .state import SagaState, evolve, initial_state
from .step_state import UNTOUCHED, StepState

PASSED = frozenset({StepStatus.SUCCEEDED})
DONE = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})
UNSETTLED = frozenset({StepStatus.CALLING, StepStatus.WAITING, StepStatus.UNKNOWN})
NEEDS_COMPENSATION = frozenset({StepStatus.SUCCEEDED, StepStatus.UNKNOWN})
COMPENSATION_UNFINISHED = frozenset(
    {
        StepStatus.COMPENSATING,
        StepStatus.COMPENSATION_BACKING_OFF,
        StepStatus.COMPENSATION_FAILED,
    }
)


CALL_IN_FLIGHT = frozenset({StepStatus.CALLING, StepStatus.COMPENSATING})
# A status query carries the key of the action that it is about.
KEY_SUFFIX: Mapping[Direction, str] = {
    Direction.ACTION: "action",
    Direction.STATUS: "action",
    Direction.COMPENSATION: "compensation",
}


class Saga(Struct, frozen=True, gc=False):
    """A definition with the state that the events of one saga have led to."""

    definition: Definition
    state: SagaState

    @property
    def steps(self) -> list[tuple[Step, StepState]]:
        """The steps with their states, in the order of the definition."""
        states = self.state.steps
        return [(step, states.get(step.name, UNTOUCHED)) for step in self.definition.steps]

    @property
    def statuses(self) -> set[StepStatus]:
        """The statuses of the steps that have had an event."""
        return {step.status for step in self.state.steps.values()}

    def evolve(self, event: Event, at: datetime) -> Saga:
        return Saga(self.definition, evolve(self.state, event, at))

    def status_of(self, step: str) -> StepStatus:
        return self.state.steps.get(step, UNTOUCHED).status

    def steps_in(self, *statuses: StepStatus) -> list[Step]:
        return [step for step, state in self.steps if state.status in statuses]

    @property
    def not_undone(self) -> tuple[str, ...]:
        """The names of the steps that have, or may have, taken effect and are not compensated."""
        return tuple(
            [step.name for step, state in self.steps if _is_not_undone(step, state.status)]
        )

    @property
    def not_done(self) -> tuple[str, ...]:
        return tuple([step.name for step, state in self.steps if state.status not in DONE])

    @property
    def outputs(self) -> dict[str, Json]:
        """The outputs of the done steps, by name; null for one without an output."""
        done = StepStatus.SUCCEEDED
        return {step.name: state.output for step, state in self.steps if state.status is done}

    @property
    def known_outputs(self) -> dict[str, Json]:
        """The outputs of the done steps that have one, by name."""
        states = self.state.steps
        return {name: output for name, output in self.outputs.items() if states[name].has_output}

    @property
    def pivot_succeeded(self) -> bool:
        pivots = self.definition.pivots
        return bool(pivots) and any(self.status_of(pivot) in PASSED for pivot in pivots)

    @property
    def pivot_is_uncertain(self) -> bool:
        """R4: true while a pivot is being called, or may have been executed.

        A pivot that backs off, and was certainly not executed so far, does not count.
        """
        pivots, states = self.definition.pivots, self.state.steps
        return bool(pivots) and any(_is_uncertain(states.get(pivot, UNTOUCHED)) for pivot in pivots)

    @property
    def has_call_in_flight(self) -> bool:
        """True while the reply to a call is awaited."""
        for state in self.state.steps.values():
            if state.status in CALL_IN_FLIGHT or state.output_awaited:
                return True
        return False

    @property
    def has_pending_webhook(self) -> bool:
        """True if the saga rests and the receiver of `callback_url` has not acknowledged that."""
        state = self.state
        if state.callback_url is None or not state.status.is_at_rest:
            return False
        return state.notified_version < state.rest_version

    def needs_compensation(self, step: Step) -> bool:
        """R3: true of a step that succeeded, is unknown, or was rejected and has
        `compensate_on_reject`."""
        return _needs_compensation(step, self.status_of(step.name))

    def key(self, step: str, direction: Direction) -> str:
        """Return the idempotency key of a call: the same on every attempt."""
        return f"{self.state.saga_id}/{step}/{KEY_SUFFIX[direction]}"

    def scope(self, steps: Collection[str] | None = None) -> Scope:
        """Return the data that expressions read, with all steps unless `steps` names some.

        A step without an output has no member `output`.
        """
        state, states, by_name = self.state, self.state.steps, self.definition.by_name
        read: dict[str, Json] = {}
        for name in by_name if steps is None else steps:
            if name in by_name:
                members: dict[str, Json] = {"key": f"{state.saga_id}/{name}/action"}
                step = states.get(name, UNTOUCHED)
                if step.output is not None or step.output_is_null:
                    members["output"] = step.output
                read[name] = members
        return {
            "input": state.input,
            "steps": read,
            "saga": {
                "id": state.saga_id,
                "type": state.saga_type,
                "entity_id": state.entity_id,
                "error": state.error,
            },
        }


def _is_uncertain(state: StepState) -> bool:
    waits_to_retry = state.status is StepStatus.BACKING_OFF
    return state.may_have_happened if waits_to_retry else state.status in UNSETTLED


def _needs_compensation(step: Step, status: StepStatus) -> bool:
    rejected = status is StepStatus.REJECTED and step.compensate_on_reject
    return step.has_effect and (status in NEEDS_COMPENSATION or rejected)


def _is_not_undone(step: Step, status: StepStatus) -> bool:
    undoing = step.has_effect and status in COMPENSATION_UNFINISHED
    return undoing or _needs_compensation(step, status)


def replay(definition: Definition, saga_id: str, history: Iterable[tuple[Event, datetime]]) -> Saga:
    """Return the saga after all events of `history`. Raises CorruptStream."""
    events = iter(history)
    first, at = next(events, (None, None))
    if not isinstance(first, SagaStarted) or at is None:
        raise CorruptStream(saga_id, 1, "the first event is not SagaStarted")
    if (first.saga_type, first.definition_version) != (definition.name, definition.version):
        raise CorruptStream(saga_id, 1, f"it is not of {definition.name} {definition.version}")
    state = initial_state(saga_id, first, at)
    for event, recorded_at in events:
        state = evolve(state, event, recorded_at)
    return Saga(definition, state)
