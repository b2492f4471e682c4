"""The two machines, declared as data: the whole of what can happen to a saga and to a step.

Each event of the log fires one trigger of one of them. A machine is built once and shared, and it
has no callbacks, so firing is a pure function of state and trigger: each pair goes through
`transitions` once and is remembered (docs/adr/0002).
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TypeAlias

from transitions import Machine, MachineError


class SagaStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    PARKED = "parked"
    ABANDONED = "abandoned"

    is_at_rest: bool  # nothing happens any more unless somebody asks for it


RESTING = frozenset(
    {SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.PARKED, SagaStatus.ABANDONED}
)
for one in SagaStatus:
    one.is_at_rest = one in RESTING  # said once: it is asked some twenty times a saga


class StepStatus(StrEnum):
    PENDING = "pending"
    CALLING = "calling"
    BACKING_OFF = "backing_off"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    SKIPPED = "skipped"
    COMPENSATING = "compensating"
    COMPENSATION_BACKING_OFF = "compensation_backing_off"
    COMPENSATION_FAILED = "compensation_failed"
    COMPENSATED = "compensated"
    RESOLVED = "resolved"


Transition: TypeAlias = tuple[str, str | list[str], str]  # trigger, source, destination

COMPENSABLE = ["succeeded", "unknown", "compensation_backing_off", "compensation_failed"]
NOT_AT_REST = ["pending", "running", "compensating"]

SAGA_TRANSITIONS: list[Transition] = [
    ("schedule", "pending", "="),
    ("begin", "pending", "running"),
    ("complete", "running", "completed"),
    ("ask_back", "running", "="),
    ("turn_back", ["pending", "running", "completed", "parked"], "compensating"),
    ("finish_undo", "compensating", "compensated"),
    ("park", ["running", "compensating"], "parked"),
    ("unpark_forward", "parked", "running"),
    ("unpark_back", "parked", "compensating"),
    ("abandon", [*NOT_AT_REST, "parked"], "abandoned"),
    # What changes no status: somebody was told, has asked, or has sent something.
    ("take", "*", "="),
    ("tell", "*", "="),
    ("hurry", ["running", "compensating"], "="),
    ("pause", NOT_AT_REST, "="),
    ("resume", NOT_AT_REST, "="),
    ("hear", [*NOT_AT_REST, "parked"], "="),
]

STEP_TRANSITIONS: list[Transition] = [
    ("skip", "pending", "skipped"),
    ("call", ["pending", "backing_off", "rejected", "unknown", "not_sent"], "calling"),
    ("ask", ["backing_off", "waiting"], "calling"),
    ("accept", "calling", "waiting"),
    ("wait", ["pending", "waiting", "rejected", "unknown", "not_sent"], "waiting"),
    ("succeed", ["calling", "waiting"], "succeeded"),
    # What was done stays done while its call is repeated for an output that is missing.
    ("call", "succeeded", "="),
    ("ask", "succeeded", "="),
    ("succeed", "succeeded", "="),
    ("miss", "succeeded", "="),
    ("reject", ["calling", "waiting"], "rejected"),
    ("reject_in_doubt", ["calling", "waiting"], "unknown"),
    ("disown", "succeeded", "rejected"),  # the child saga that it was is undone
    ("back_off", ["pending", "calling", "backing_off"], "backing_off"),
    ("lose", ["calling", "backing_off", "waiting"], "unknown"),
    ("give_up", ["calling", "backing_off"], "not_sent"),
    ("compensate", [*COMPENSABLE, "rejected"], "compensating"),
    ("undo", "compensating", "compensated"),
    ("cover", ["succeeded", "unknown", "rejected"], "compensated"),
    ("back_off_undo", "compensating", "compensation_backing_off"),
    ("fail_undo", "compensating", "compensation_failed"),
    # A person's verdict.
    ("resolve_done", ["unknown", "rejected", "not_sent", "succeeded"], "succeeded"),
    ("resolve_not_done", ["unknown", "rejected", "not_sent"], "not_sent"),
    ("resolve_undone", ["compensation_failed", "succeeded", "unknown"], "resolved"),
    # What changes no status: an early callback is kept, a late one is not.
    ("hear", ["calling", "backing_off"], "="),
    ("ignore", "*", "="),
]


class IllegalTransition(Exception):
    """A trigger that the machine has not in this state."""


class _StateHolder:
    """What `transitions` keeps a state in while it fires."""

    state: str


def _machine(states: type[StrEnum], transitions: list[Transition], initial: StrEnum) -> Machine:
    return Machine(
        model=None,
        states=[state.value for state in states],
        transitions=[list(one) for one in transitions],  # type: ignore[misc]
        initial=initial.value,
        auto_transitions=False,
        send_event=False,
    )


SAGA_MACHINE = _machine(SagaStatus, SAGA_TRANSITIONS, SagaStatus.PENDING)
STEP_MACHINE = _machine(StepStatus, STEP_TRANSITIONS, StepStatus.PENDING)


@cache
def next_saga_status(status: SagaStatus, trigger: str) -> SagaStatus:
    """Raises IllegalTransition."""
    return SagaStatus(_fire(SAGA_MACHINE, status.value, trigger))


@cache
def next_step_status(status: StepStatus, trigger: str) -> StepStatus:
    """Raises IllegalTransition."""
    return StepStatus(_fire(STEP_MACHINE, status.value, trigger))


@cache
def accepts_trigger(status: StepStatus, trigger: str) -> bool:
    """Whether the machine has `trigger` in this status."""
    try:
        next_step_status(status, trigger)
    except IllegalTransition:
        return False
    return True


def _fire(machine: Machine, state: str, trigger: str) -> str:
    model = _StateHolder()
    machine.add_model(model, initial=state)
    try:
        machine.events[trigger].trigger(model)
    except MachineError as error:
        raise IllegalTransition(f"{trigger!r} is not possible when {state!r}") from error
    finally:
        machine.remove_model(model)
    return str(model.state)
