"""The two state machines, of a saga and of a step, declared as data.

Each event of the log fires one trigger of one of them. A machine is built once and shared, and it
has no callbacks, so firing is a pure function of state and trigger: each pair goes through
`transitions` once and is remembered (docs/adr/0002).
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Self, TypeAlias

from transitions import Machine, MachineError


class SagaStatus(StrEnum):
    """A saga at rest does nothing until it gets a command of an operator or of its parent."""

    is_at_rest: bool

    PENDING = "pending", False
    RUNNING = "running", False
    COMPENSATING = "compensating", False
    COMPLETED = "completed", True
    COMPENSATED = "compensated", True
    PARKED = "parked", True
    ABANDONED = "abandoned", True

    def __new__(cls, value: str, rests: bool = False) -> Self:
        status = str.__new__(cls, value)
        status._value_ = value
        status.is_at_rest = rests
        return status


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


# Each decision looks for these members many times, and Python 3.11 takes four times longer to find
# them by their class. `PENDING` is that of a step, `COMPENSATING` that of a saga.
RUNNING, COMPENSATING = SagaStatus.RUNNING, SagaStatus.COMPENSATING
PENDING, BACKING_OFF, WAITING = StepStatus.PENDING, StepStatus.BACKING_OFF, StepStatus.WAITING
SUCCEEDED, SKIPPED, UNKNOWN = StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.UNKNOWN

Transition: TypeAlias = tuple[str, str | list[str], str]  # trigger, source, destination

COMPENSABLE = ["succeeded", "unknown", "compensation_backing_off", "compensation_failed"]
NOT_AT_REST = ["pending", "running", "compensating"]

SAGA_TRANSITIONS: list[Transition] = [
    ("schedule", "pending", "="),
    ("begin", "pending", "running"),
    ("complete", "running", "completed"),
    ("request_compensation", "running", "="),
    ("start_compensation", ["pending", "running", "completed", "parked"], "compensating"),
    ("finish_compensation", "compensating", "compensated"),
    ("park", ["running", "compensating"], "parked"),
    ("unpark_running", "parked", "running"),
    ("unpark_compensating", "parked", "compensating"),
    ("abandon", [*NOT_AT_REST, "parked"], "abandoned"),
    # No change of status.
    ("apply_forwarded", "*", "="),
    ("record_webhook", "*", "="),
    ("request_retry", ["running", "compensating"], "="),
    ("pause", NOT_AT_REST, "="),
    ("resume", NOT_AT_REST, "="),
    ("receive_signal", [*NOT_AT_REST, "parked"], "="),
]

STEP_TRANSITIONS: list[Transition] = [
    ("skip", "pending", "skipped"),
    ("call", ["pending", "backing_off", "rejected", "unknown", "not_sent"], "calling"),
    ("query_status", ["backing_off", "waiting"], "calling"),
    ("accept", "calling", "waiting"),
    ("wait", ["pending", "waiting", "rejected", "unknown", "not_sent"], "waiting"),
    ("succeed", ["calling", "waiting"], "succeeded"),
    # A done step stays done while its call is repeated for a missing output.
    ("call", "succeeded", "="),
    ("query_status", "succeeded", "="),
    ("succeed", "succeeded", "="),
    ("miss_output", "succeeded", "="),
    ("reject", ["calling", "waiting"], "rejected"),
    ("reject_uncertain", ["calling", "waiting"], "unknown"),
    ("revoke", "succeeded", "rejected"),  # its child saga was compensated
    ("back_off", ["pending", "calling", "backing_off"], "backing_off"),
    ("mark_unknown", ["calling", "backing_off", "waiting"], "unknown"),
    ("mark_not_sent", ["calling", "backing_off"], "not_sent"),
    ("compensate", [*COMPENSABLE, "rejected"], "compensating"),
    ("succeed_compensation", "compensating", "compensated"),
    ("imply_compensation", ["succeeded", "unknown", "rejected"], "compensated"),
    ("back_off_compensation", "compensating", "compensation_backing_off"),
    ("fail_compensation", "compensating", "compensation_failed"),
    # Resolutions by an operator.
    ("resolve_done", ["unknown", "rejected", "not_sent", "succeeded"], "succeeded"),
    ("resolve_not_done", ["unknown", "rejected", "not_sent"], "not_sent"),
    ("resolve_undone", ["compensation_failed", "succeeded", "unknown"], "resolved"),
    # No change of status: an early callback is kept, a late one is not.
    ("buffer_callback", ["calling", "backing_off"], "="),
    ("ignore_late_reply", "*", "="),
]


class IllegalTransition(Exception):
    """A trigger that the machine does not have in this state."""


class _StateHolder:
    """The object in which `transitions` keeps the state while it fires a trigger."""

    state: str


def _machine(states: type[StrEnum], transitions: list[Transition], initial: StrEnum) -> Machine:
    return Machine(
        model=None,
        states=[state.value for state in states],
        transitions=[list(transition) for transition in transitions],  # type: ignore[misc]
        initial=initial.value,
        auto_transitions=False,
        send_event=False,
    )


SAGA_MACHINE = _machine(SagaStatus, SAGA_TRANSITIONS, SagaStatus.PENDING)
STEP_MACHINE = _machine(StepStatus, STEP_TRANSITIONS, StepStatus.PENDING)


@cache
def next_saga_status(status: SagaStatus, trigger: str) -> SagaStatus:
    """Return the status after `trigger`. Raises IllegalTransition."""
    return SagaStatus(_fire(SAGA_MACHINE, status.value, trigger))


@cache
def next_step_status(status: StepStatus, trigger: str) -> StepStatus:
    """Return the status after `trigger`. Raises IllegalTransition."""
    return StepStatus(_fire(STEP_MACHINE, status.value, trigger))


@cache
def accepts_trigger(status: StepStatus, trigger: str) -> bool:
    """True if the machine has `trigger` in this status."""
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
