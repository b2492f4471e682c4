"""What follows from what happened.

    decide(saga, happening) = the events it makes, then whatever now follows from the state

The first half turns a happening into events: `reaction` for what participants, clocks and children
do, `verb` for what people ask. The second asks the state, again and again until nothing more
follows: `forward` while the saga runs, `backward` while it compensates. The rules R1 to R9 of the
semantics live in these four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from . import reaction, verb
from .backward import follow_backward
from .command import CallParticipant, ChildCommand, child_commands
from .deciding import NOBODY, Deciding
from .definition import Definition
from .errors import NotAllowed, WouldParkAgain
from .events import CallbackDelivered, Event, MessageTaken, SagaStarted
from .forward import follow_forward
from .happening import (
    CallAnswered,
    CallbackTold,
    ChildRefused,
    ChildRested,
    Happening,
    MessageDelivered,
    ParticipantBack,
    ProcessLeaves,
    ResolveAsked,
    StartRequested,
    StepReported,
    TimePassed,
    Verb,
)
from .machines import SagaStatus
from .outcome import Hold
from .saga import Saga
from .state import begin

WAYS: Mapping[SagaStatus, Callable[[Deciding], None]] = {
    SagaStatus.RUNNING: follow_forward,
    SagaStatus.COMPENSATING: follow_backward,
}


class Decision(Struct, frozen=True):
    """Append `events`; once they are committed the saga is `saga`, and the rest may leave.

    Without events the saga may be another one all the same, as this process alone knows it.
    """

    events: tuple[Event, ...]
    saga: Saga
    calls: tuple[CallParticipant, ...]
    children: tuple[ChildCommand, ...] = ()


def start(
    definition: Definition,
    saga_id: str,
    request: StartRequested,
    *,
    now: datetime,
    held: Mapping[str, Hold] = NOBODY,
) -> Decision:
    """The first events of a saga. The input must have passed `check_input`."""
    put_off = request.start_at is not None and request.start_at > now
    began = SagaStarted(
        saga_type=definition.name,
        definition_version=definition.version,
        entity_id=request.entity_id,
        input=request.input,
        tags=dict(request.tags),
        deadline=deadline_of(definition, request, now),
        start_at=request.start_at if put_off else None,
        callback_url=request.callback_url,
        actor=request.actor,
        parent=request.parent,
    )
    deciding = Deciding(Saga(definition, begin(saga_id, began, now)), now, held=held)
    deciding.events.append(began)
    deciding.is_own = True
    _follow(deciding)
    return _decision(deciding)


def decide(
    saga: Saga,
    happening: Happening,
    *,
    now: datetime,
    jitter: float,
    held: Mapping[str, Hold] = NOBODY,
) -> Decision:
    """`jitter` in [0, 1). `held`: to these participants nothing is sent forward, and why.

    No events if nothing follows, or nothing that is to be recorded. Raises NotAllowed, NoSuchStep.
    """
    try:
        return _decided(saga, happening, now, jitter, held)
    except NotAllowed as refusal:
        refusal.allowed_actions = allowed_actions(saga, now=now)
        if saga.state.status is SagaStatus.PARKED:
            instead = verb.instead_of(happening, saga)
            refusal.possible = verb.described(
                saga, [one for one in instead if _works(saga, one, now)]
            )
        raise


def allowed_actions(saga: Saga, *, now: datetime | None = None) -> tuple[str, ...]:
    """The verbs that change something if they are asked for now, each of them tried."""
    at = saga.state.updated_at if now is None else now
    return tuple(
        name for name, asks in verb.trials(saga) if any(_works(saga, one, at) for one in asks)
    )


def _works(saga: Saga, asked: Verb, now: datetime) -> bool:
    try:
        return bool(_decided(saga, asked, now, 0).events)
    except WouldParkAgain:
        return isinstance(asked, ResolveAsked)  # with another output than the one that is tried
    except NotAllowed:
        return False


def _decided(
    saga: Saga,
    happening: Happening,
    now: datetime,
    jitter: float,
    held: Mapping[str, Hold] = NOBODY,
) -> Decision:
    deciding = Deciding(saga, now, jitter, held)
    _react(deciding, happening)
    _follow(deciding)
    return _decision(deciding)


def _react(  # noqa: C901 - a table, one line of thought a happening
    deciding: Deciding, happening: Happening
) -> None:
    match happening:
        case CallAnswered():
            reaction.answered(deciding, happening)
        case TimePassed():
            reaction.time_passed(deciding)
        case ParticipantBack(participant=participant):
            if deciding.saga.state.paused_at is None:
                reaction.participant_back(deciding, participant)
        case ProcessLeaves():
            if deciding.saga.state.unrecorded:
                deciding.record_kept()
        case StepReported():
            reaction.reported(deciding, happening)
        case ChildRested():
            reaction.child_rested(deciding, happening)
        case ChildRefused():
            reaction.child_refused(deciding, happening)
        case CallbackTold(rested_version=rested_version):
            deciding.record(CallbackDelivered(rested_version=rested_version))
        case MessageDelivered():
            _take(deciding, happening)
        case _:
            before = deciding.saga
            verb.apply(deciding, happening)
            _follow(deciding)
            verb.demand_effect(before, happening, deciding)


def _take(deciding: Deciding, message: MessageDelivered) -> None:
    """Its sender may have been answered by nobody, and then it comes again."""
    if message.message_id in deciding.saga.state.messages:
        return
    _react(deciding, message.happening)
    if deciding.events:
        deciding.record(MessageTaken(message_id=message.message_id))


def is_idle(saga: Saga) -> bool:
    """Whether it waits for a time or for somebody, and nothing of it is under way or undecided."""
    if saga.state.status.rests or saga.is_called or child_commands(saga):
        return False
    decision = decide(saga, TimePassed(), now=saga.state.updated_at, jitter=0)
    return not (decision.events or decision.calls)


def _follow(deciding: Deciding) -> None:
    """Until nothing more follows. Of a paused saga nothing does, nor while its one call is out."""
    recorded = -1
    alone = deciding.saga.definition.is_sequential
    while len(deciding.events) > recorded and deciding.saga.state.paused_at is None:
        if alone and deciding.calls:
            return
        recorded = len(deciding.events)
        if (follow := WAYS.get(deciding.saga.state.status)) is not None:
            follow(deciding)


def _decision(deciding: Deciding) -> Decision:
    if deciding.events and deciding.saga.state.unrecorded:
        deciding.record_kept()
    events, calls, children = deciding.events, deciding.calls, deciding.children
    return Decision(tuple(events), deciding.saga, tuple(calls), tuple(children))


def deadline_of(definition: Definition, request: StartRequested, now: datetime) -> datetime | None:
    """The time by which the saga is to be done, if there is one."""
    given = request.deadline if request.deadline is not None else definition.deadline
    if isinstance(given, timedelta):
        return max(request.start_at or now, now) + given
    return given
