"""The decision: which events and calls follow from an input.

    decide(saga, input) = the events of the input, then all that follows from the state

The first half turns an input into events: `reactions` for participants, timers and child sagas,
`operator_commands` for operators. The second half derives events from the state, until nothing more
follows: `forward` while the saga runs, `compensation` while it compensates. The rules R1 to R9 of
the semantics live in these four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ..call_outcome import OpenCircuit
from ..definitions.definition import Definition
from ..errors import NotAllowed, WouldParkAgain
from ..events import CompletionWebhookDelivered, ForwardedInputApplied, SagaStarted
from ..inputs import (
    CallCompleted,
    ChildFinished,
    ChildInstructionRefused,
    CircuitClosed,
    ForwardedInput,
    Input,
    OperatorCommand,
    ProcessStops,
    ResolveStep,
    StartSaga,
    StepCallback,
    TimerFired,
    WebhookDelivered,
)
from ..instructions import child_instructions
from ..machines import SagaStatus
from ..saga import Saga
from ..state import initial_state
from . import operator_commands, reactions
from .candidate_commands import alternatives_to, candidate_commands, describe
from .compensation import continue_compensation
from .decision import NO_OPEN_CIRCUITS, Decision, DecisionBuilder
from .forward import continue_forward
from .output_guards import require_effect

NEXT_BY_STATUS: Mapping[SagaStatus, Callable[[DecisionBuilder], None]] = {
    SagaStatus.RUNNING: continue_forward,
    SagaStatus.COMPENSATING: continue_compensation,
}


def start(
    definition: Definition,
    saga_id: str,
    request: StartSaga,
    *,
    now: datetime,
    open_circuits: Mapping[str, OpenCircuit] = NO_OPEN_CIRCUITS,
) -> Decision:
    """Decide the first events of a saga. Its input must have passed `check_input`."""
    is_scheduled = request.start_at is not None and request.start_at > now
    began = SagaStarted(
        saga_type=definition.name,
        definition_version=definition.version,
        entity_id=request.entity_id,
        input=request.input,
        tags=dict(request.tags),
        deadline=effective_deadline(definition, request, now),
        start_at=request.start_at if is_scheduled else None,
        callback_url=request.callback_url,
        actor=request.actor,
        parent=request.parent,
    )
    builder = DecisionBuilder(
        Saga(definition, initial_state(saga_id, began, now)), now, open_circuits=open_circuits
    )
    builder.events.append(began)
    _continue(builder)
    return builder.build()


def decide(
    saga: Saga,
    input_: Input,
    *,
    now: datetime,
    jitter: float,
    open_circuits: Mapping[str, OpenCircuit] = NO_OPEN_CIRCUITS,
) -> Decision:
    """Decide what follows from an input. Raises NotAllowed and StepNotFound.

    `jitter` is in [0, 1). No action is sent to the participants in `open_circuits`. There are no
    events if nothing follows that must be recorded.
    """
    try:
        return _decide(saga, input_, now, jitter, open_circuits)
    except NotAllowed as refusal:
        refusal.allowed_actions = allowed_actions(saga, now=now)
        if saga.state.status is SagaStatus.PARKED:
            alternatives = alternatives_to(input_, saga)
            possible = [command for command in alternatives if _has_effect(saga, command, now)]
            refusal.possible = describe(saga, possible)
        raise


def allowed_actions(saga: Saga, *, now: datetime | None = None) -> tuple[str, ...]:
    """Return the verbs that would have an effect now; each one is tried."""
    at = saga.state.updated_at if now is None else now
    return tuple(
        verb
        for verb, commands in candidate_commands(saga)
        if any(_has_effect(saga, command, at) for command in commands)
    )


def _has_effect(saga: Saga, command: OperatorCommand, now: datetime) -> bool:
    try:
        return bool(_decide(saga, command, now, 0).events)
    except WouldParkAgain:
        return isinstance(command, ResolveStep)  # another output than the one tried may be enough
    except NotAllowed:
        return False


def _decide(
    saga: Saga,
    input_: Input,
    now: datetime,
    jitter: float,
    open_circuits: Mapping[str, OpenCircuit] = NO_OPEN_CIRCUITS,
) -> Decision:
    builder = DecisionBuilder(saga, now, jitter, open_circuits)
    _apply_input(builder, input_)
    _continue(builder)
    return builder.build()


def _apply_input(  # noqa: C901 - a table, one entry for each input
    builder: DecisionBuilder, input_: Input
) -> None:
    match input_:
        case CallCompleted():
            reactions.call_completed(builder, input_)
        case TimerFired():
            reactions.timer_fired(builder)
        case CircuitClosed(participant=participant):
            if builder.saga.state.paused_at is None:
                reactions.circuit_closed(builder, participant)
        case ProcessStops():
            if builder.saga.state.unrecorded:
                builder.record_unrecorded()
        case StepCallback():
            reactions.step_callback(builder, input_)
        case ChildFinished():
            reactions.child_finished(builder, input_)
        case ChildInstructionRefused():
            reactions.child_instruction_refused(builder, input_)
        case WebhookDelivered(rest_version=version):
            builder.record(CompletionWebhookDelivered(rested_version=version))
        case ForwardedInput():
            _apply_forwarded(builder, input_)
        case _:
            before = builder.saga
            operator_commands.apply(builder, input_)
            _continue(builder)
            require_effect(before, input_, builder)


def _apply_forwarded(builder: DecisionBuilder, message: ForwardedInput) -> None:
    """Apply an input of another node once: it is delivered again if the reply was lost."""
    if message.message_id in builder.saga.state.applied_message_ids:
        return
    _apply_input(builder, message.input)
    if builder.events:
        builder.record(ForwardedInputApplied(message_id=message.message_id))


def is_idle(saga: Saga) -> bool:
    """True if the saga only waits: no call is in flight, and nothing follows now."""
    if saga.state.status.is_at_rest or saga.has_call_in_flight or child_instructions(saga):
        return False
    decision = decide(saga, TimerFired(), now=saga.state.updated_at, jitter=0)
    return not (decision.events or decision.calls)


def _continue(builder: DecisionBuilder) -> None:
    """Decide until nothing more follows; nothing does while a sequence has its call in flight."""
    is_sequential, recorded = builder.saga.definition.is_sequential, -1
    while len(builder.events) > recorded and builder.saga.state.paused_at is None:
        if is_sequential and builder.calls:
            return
        recorded = len(builder.events)
        if (next_of := NEXT_BY_STATUS.get(builder.saga.state.status)) is not None:
            next_of(builder)


def effective_deadline(
    definition: Definition, request: StartSaga, now: datetime
) -> datetime | None:
    """Return the time by which the saga must be done, if there is one."""
    deadline = request.deadline if request.deadline is not None else definition.deadline
    if isinstance(deadline, timedelta):
        return max(request.start_at or now, now) + deadline
    return deadline
