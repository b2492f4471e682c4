"""What may still be sent, when a service stops or a call has waited for its turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

from ..command import CallParticipant, awaited, repeats_nothing
from ..decide import Decision
from ..events import Event, StepEvent
from ..machines import SagaStatus
from ..outcome import Direction
from ..saga import Saga
from ..state import INTENTS, without_unrecorded
from .live import Live

# Asked for with every call: Python takes four times longer to find `Direction.ACTION`.
ACTION, ABANDONED = Direction.ACTION, SagaStatus.ABANDONED
COMPENSATING = SagaStatus.COMPENSATING


def is_wanted(
    live: Live,
    call: CallParticipant,
    *,
    resent: bool,
    now: Callable[[], datetime],
) -> bool:
    """True if a call that has waited for its turn is still to be sent.

    `resent`: it was sent once before, by a process that died before the answer.
    """
    saga = live.saga
    state, step = saga.state, saga.state.step(call.step)
    over = state.status is ABANDONED or state.paused_at is not None
    if over or awaited(step) is not call.direction:
        return False
    if call.direction is not ACTION:
        return True
    if resent:
        return not repeats_nothing(saga, now())
    if state.status is COMPENSATING:
        return False
    return step.may_have_happened or not _is_called_back(saga, now)


def _is_called_back(saga: Saga, now: Callable[[], datetime]) -> bool:
    """Whether an action that was not sent yet comes too late: the saga is to be undone."""
    state = saga.state
    overdue = state.deadline is not None and state.deadline <= now()
    return (overdue or state.asked_back is not None) and not saga.pivot_passed


def without_calls(before: Saga, decision: Decision) -> Decision:
    """What has happened, without what would be sent next: the next process will decide that.

    What was decided is recorded even if it only repeats what the log has: it would be forgotten.
    """
    new = {(call.step, call.attempt) for call in decision.calls}
    saga = Saga(before.definition, without_unrecorded(before.state))
    events = [*_until_calls(decision.events, new)]
    for kept in decision.saga.state.unrecorded.values():
        events += _until_calls(kept.events, new)
    if not events:
        return Decision((), before, ())
    for event in events:
        saga = saga.after(event, decision.saga.state.updated_at)
    return Decision(tuple(events), saga, ())


def _until_calls(events: Sequence[Event], new: Collection[tuple[str, int]]) -> Iterator[Event]:
    """Those before the first intent of a call that is new, and so has no answer behind it."""
    for place, event in enumerate(events):
        if isinstance(event, INTENTS) and (event.step, event.attempt) in new:
            rest = events[place + 1 :]
            if not any(isinstance(one, StepEvent) and one.step == event.step for one in rest):
                return
        yield event
