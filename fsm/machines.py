"""The two machines, declared as data: the whole of what can happen to a saga and to a step.

Each event of the log fires one trigger of one of them. A machine is built once and shared, and it
has no callbacks, so firing is a pure function of state and trigger: each pair goes through
`transitions` once and is remembered (docs/adr/0002).
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Any

from transitions import Machine, MachineError


class SagaStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    PARKED = "parked"

    @property
    def rests(self) -> bool:
        """Nothing happens any more unless somebody asks for it."""
        return self in RESTING


RESTING = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.PARKED})


class StepStatus(StrEnum):
    PENDING = "pending"
    CALLING = "calling"
    BACKING_OFF = "backing_off"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    SKIPPED = "skipped"
    COMPENSATING = "compensating"
    COMPENSATION_BACKING_OFF = "compensation_backing_off"
    COMPENSATION_FAILED = "compensation_failed"
    COMPENSATED = "compensated"


SAGA_TRANSITIONS = [
    # trigger, source, destination
    ["schedule", "pending", "="],
    ["begin", "pending", "running"],
    ["complete", "running", "completed"],
    ["ask_back", "running", "="],
    ["turn_back", ["pending", "running", "completed", "parked"], "compensating"],
    ["finish_undo", "compensating", "compensated"],
    ["park", ["running", "compensating"], "parked"],
    ["tell", "*", "="],
]

STEP_TRANSITIONS = [
    ["skip", "pending", "skipped"],
    ["call", ["pending", "backing_off"], "calling"],
    ["ask", "backing_off", "calling"],
    ["succeed", "calling", "succeeded"],
    ["reject", "calling", "rejected"],
    ["reject_in_doubt", "calling", "unknown"],
    ["back_off", "calling", "backing_off"],
    ["lose", ["calling", "backing_off"], "unknown"],
    ["give_up", ["calling", "backing_off"], "not_sent"],
    [
        "compensate",
        ["succeeded", "unknown", "rejected", "compensation_backing_off"],
        "compensating",
    ],
    ["undo", "compensating", "compensated"],
    ["cover", ["succeeded", "unknown", "rejected"], "compensated"],
    ["back_off_undo", "compensating", "compensation_backing_off"],
    ["fail_undo", "compensating", "compensation_failed"],
]


class IllegalTransition(Exception):
    """A trigger that the machine has not in this state."""


class _Model:
    """What `transitions` keeps a state in while it fires."""

    state: str


def _machine(states: type[StrEnum], transitions: list[Any], initial: StrEnum) -> Machine:
    return Machine(
        model=None,
        states=[state.value for state in states],
        transitions=transitions,
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


def _fire(machine: Machine, state: str, trigger: str) -> str:
    model = _Model()
    machine.add_model(model, initial=state)
    try:
        machine.events[trigger].trigger(model)
    except MachineError as error:
        raise IllegalTransition(f"{trigger!r} is not possible when {state!r}") from error
    finally:
        machine.remove_model(model)
    return str(model.state)
