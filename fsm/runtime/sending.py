"""What may still be sent, when a service stops or a call has waited for its turn."""

from __future__ import annotations

from collections.abc import Callable

from ..command import CallParticipant, awaited
from ..decide import Decision
from ..events import CompensationCalled, Event, StatusAsked, StepCalled
from ..machines import SagaStatus
from ..saga import Saga
from .live import Live


def is_wanted(live: Live, call: CallParticipant, its_turn: Callable[[], None] | None) -> bool:
    """Whether a call that has waited for its turn is still to be sent. `its_turn` is told of it."""
    if its_turn is not None:
        its_turn()
    state = live.saga.state
    over = state.status is SagaStatus.ABANDONED or state.paused_at is not None
    return not over and awaited(state.step(call.step)) is call.direction


def without_calls(before: Saga, decision: Decision) -> Decision:
    """What has happened, without what would be sent next: the next process will decide that."""
    events: list[Event] = []
    saga = before
    for event in decision.events:
        if isinstance(event, StepCalled | StatusAsked | CompensationCalled):
            break
        events.append(event)
        saga = saga.after(event, decision.saga.state.updated_at)
    return Decision(tuple(events), saga, ())
