"""Invariants of calls: each was recorded before it left, is sent under one key, and stops in time.

A call that arrives late, from an owner that had already lost the shard, violates nothing: its key
makes it harmless. Its effect must be in the log like that of any other call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..call_outcome import Direction, Outcome
from ..decider.reactions import FORMER_RESTARTED, RESTARTED
from ..definitions.definition import Definition
from ..events import (
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    OutputNotReceived,
    Resolution,
    SagaAbandoned,
    SagaPaused,
    SagaResumed,
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepConfirmedNotExecuted,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from .history import History
from .violation import Breach, Notice

ACTION_RESULTS = (
    StepSucceeded,
    OutputNotReceived,
    StepRejected,
    StepUnknown,
    StepNotSent,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepAccepted,
)
COMPENSATION_RESULTS = (CompensationSucceeded, CompensationBackedOff, CompensationFailed)
STARTS_WORK = (StepCalled, StatusQueried, CompensationCalled, WaitStarted)
RESTART_ERRORS = (RESTARTED, FORMER_RESTARTED)
ENDS_EVERY_PAUSE = (CompensationRequested, CompensationStarted, SagaAbandoned)


def intents_come_first(history: History) -> Iterator[Breach]:
    """Invariant I6. A result is that of an attempt that was recorded before its call left."""
    attempts = _RecordedAttempts(history.definition)
    for entry in history.entries:
        if not attempts.explains(entry.event):
            yield Breach(entry.version, f"{entry} answers an attempt that was never recorded")


class _RecordedAttempts:
    """The attempts whose intents are in the log."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.actions: set[tuple[str, int]] = set()
        self.compensations: set[tuple[str, int]] = set()

    def explains(self, event: Event) -> bool:
        """Apply an intent. False for a result without one."""
        match event:
            case StepCalled(step=step, attempt=attempt):
                self.actions.add((step, attempt))
            case StatusQueried(step=step, attempt=attempt):
                # A status query without a conclusive answer consumes the next attempt.
                self.actions |= {(step, attempt), (step, attempt + 1)}
            case CompensationCalled(step=step, attempt=attempt):
                self.compensations.add((step, attempt))
            case StepBackedOff(step=step, attempt=attempt, outcome=Outcome.CIRCUIT_OPEN):
                self.actions.add((step, attempt))  # nothing was sent, so nothing need be recorded
            case _ if isinstance(event, ACTION_RESULTS):
                only_waits = self.definition[event.step].action is None
                return only_waits or (event.step, event.attempt) in self.actions
            case _ if isinstance(event, COMPENSATION_RESULTS):
                return (event.step, event.attempt) in self.compensations
        return True


def interrupted_calls_get_their_time(history: History) -> Iterator[Breach]:
    """Rule R2. A call that a crash interrupted, and that is not repeated, gets its full timeout.

    Its step counts as unknown, or its status is queried, no sooner than that after its intent.
    """
    called: dict[str, datetime] = {}
    for entry in history.entries:
        match entry.event:
            case StepCalled(step=step):
                called[step] = entry.recorded_at
            case StepUnknown(step=step, error=error) | StepBackedOff(step=step, error=error):
                action = history.definition[step].action
                if error not in RESTART_ERRORS or action is None or step not in called:
                    continue
                if entry.recorded_at < called[step] + action.timeout:
                    yield Breach(entry.version, f"{entry} sooner than its timeout {action.timeout}")
            case _:
                pass


def pauses_hold(history: History) -> Iterator[Breach]:
    """A paused saga sends nothing, and begins no wait.

    The pause of an operator and that of the parent end separately. A request for compensation, and
    an abandon, end both.
    """
    pauses = set[bool]()  # True: the parent's, False: the operator's
    for entry in history.entries:
        match entry.event:
            case SagaPaused(by_parent=by_parent):
                pauses.add(by_parent)
            case SagaResumed(by_parent=by_parent):
                pauses.discard(by_parent)
            case event if isinstance(event, ENDS_EVERY_PAUSE):
                pauses.clear()
            case event if pauses and isinstance(event, STARTS_WORK):
                yield Breach(entry.version, f"{entry} in a pause")


Intent = tuple[str, Direction, int]
MIN_SERVER_ERROR = 500  # an HTTP status


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A call as its participant recorded it.

    `effect` is true if the call did something, instead of being answered once more. `epoch`,
    `status` and `content` are missing where the participant did not record them; `content` is the
    text or a digest of headers and body.
    """

    at: datetime
    participant: str
    key: str
    saga_id: str
    step: str
    direction: Direction
    attempt: int
    epoch: int | None = None
    method: str = ""
    path: str = ""
    effect: bool = False
    status: int | None = None
    content: str = ""

    @property
    def intent(self) -> Intent:
        return self.step, self.direction, self.attempt

    @property
    def request(self) -> tuple[str, str, str]:
        return self.method, self.path, self.content

    def __str__(self) -> str:
        return f"the {self.direction} of {self.step}"


def calls_were_intended(history: History, calls: Sequence[LedgerEntry]) -> Iterator[Breach]:
    """Invariant I6. Each call was recorded before it left, in its own epoch or an earlier one.

    A call of a later epoch is repeated by a later owner.
    """
    intents: dict[Intent, int] = {}
    for entry in history.entries:
        if (intent := intent_of(entry.event)) is not None:
            intents.setdefault(intent, entry.epoch)
    for call in calls:
        since = intents.get(call.intent)
        if since is None:
            yield Breach(None, f"{call}, attempt {call.attempt}, was sent and never recorded")
        elif call.epoch is not None and call.epoch < since:
            detail = f"{call} was sent in epoch {call.epoch}, and recorded in epoch {since}"
            yield Breach(None, detail)


def keys_are_constant(history: History, calls: Sequence[LedgerEntry]) -> Iterator[Breach]:
    """Invariant I7. The key is made of saga, step and direction, and stands for one request.

    A status query carries the key of the action that it is about.
    """
    first: dict[tuple[str, Direction], LedgerEntry] = {}
    for call in calls:
        undoes = call.direction is Direction.COMPENSATION
        kind = "compensation" if undoes else "action"
        if call.key != f"{history.saga_id}/{call.step}/{kind}":
            yield Breach(None, f"{call} was sent under the key {call.key}")
        known = first.setdefault((call.key, call.direction), call)
        if known.request != call.request:
            yield Breach(None, f"{call.key} was sent with two requests")


def forward_calls_stop(history: History, calls: Sequence[LedgerEntry]) -> Iterator[Breach]:
    """Rule R2. A new owner repeats no forward call of a saga that is to be compensated.

    A call is repeated if an earlier owner recorded its intent. That the saga is to be compensated
    was recorded before the new owner took over.
    """
    for call in calls:
        if call.direction is not Direction.ACTION or call.epoch is None:
            continue
        recorded = [
            entry.epoch for entry in history.entries if intent_of(entry.event) == call.intent
        ]
        since = max((epoch for epoch in recorded if epoch <= call.epoch), default=call.epoch)
        if since < call.epoch and _was_to_compensate(history, before_epoch=call.epoch):
            detail = f"{call} was repeated in epoch {call.epoch}, and the saga is to be compensated"
            yield Breach(None, detail)


def _was_to_compensate(history: History, *, before_epoch: int) -> bool:
    """True if compensation was started or requested before an epoch, and no pivot passed then."""
    back = False
    for entry in history.entries:
        if entry.epoch < before_epoch:
            back = back or isinstance(entry.event, CompensationStarted | CompensationRequested)
            back = back and not passes_pivot(history.definition, entry.event)
    return back


def late_calls(calls: Sequence[LedgerEntry]) -> Iterator[Notice]:
    """Yield the calls that an owner sent after the new owner of its shard had sent others."""
    newest = 0
    for call in calls:
        epoch = call.epoch if call.epoch is not None else newest
        if epoch < newest:
            did = "and had an effect" if call.effect else "and had no effect"
            detail = f"{call} came in epoch {epoch} after one of epoch {newest}, {did}"
            yield Notice(saga_id=call.saga_id, detail=detail)
        newest = max(newest, epoch)


def intent_of(event: Event) -> Intent | None:
    """Return the call that an event records before it leaves."""
    match event:
        case StepCalled(step=step, attempt=attempt):
            return step, Direction.ACTION, attempt
        case StatusQueried(step=step, attempt=attempt):
            return step, Direction.STATUS, attempt
        case CompensationCalled(step=step, attempt=attempt):
            return step, Direction.COMPENSATION, attempt
        case _:
            return None


def passes_pivot(definition: Definition, event: Event) -> bool:
    """True if a pivot has succeeded, by its participant or by an operator's verdict."""
    match event:
        case StepSucceeded(step=step) | StepResolved(step=step, verdict=Resolution.DONE):
            return step in definition.pivots
        case _:
            return False


def may_have_refused(calls: Sequence[LedgerEntry]) -> Callable[[str, int], bool]:
    """Return a function of step and attempt: true if that compensation may have been refused.

    It was certainly not refused where its participant recorded nothing but server errors.
    """
    statuses: dict[tuple[str, int], list[int | None]] = {}
    for call in calls:
        if call.direction is Direction.COMPENSATION:
            statuses.setdefault((call.step, call.attempt), []).append(call.status)
    errors = {
        attempt
        for attempt, seen in statuses.items()
        if all(status is not None and status >= MIN_SERVER_ERROR for status in seen)
    }
    return lambda step, attempt: (step, attempt) not in errors
