"""What is promised of compensation: it waits, it goes backwards, and it heeds its policies.

R2, R3 and R5 of the rules; how these are told is said in `promises`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import inf

from ..definitions.definition import Definition, OnFailure
from ..events import (
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    OutputNotReceived,
    RetryRequested,
    SagaAbandoned,
    SagaParked,
    SagaUnparked,
    StepCalled,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from ..step_state import DOES_NOT_CONSUME_ATTEMPT
from . import replies as answers
from .participants_model import ParticipantsModel
from .truth import at_stake, may_have_happened

ENDS = (StepSucceeded, StepRejected, StepUnknown, StepNotSent)
CANNOT_BE_CALLED = "cannot be called"


def undo_settles_first(history: Sequence[Event]) -> Iterator[str]:
    """R2. No compensation is called before it is known how every step has ended."""
    under_way: set[str] = set()
    for event in history:
        match event:
            case StepCalled(step=step) | WaitStarted(step=step):
                under_way.add(step)
            case CompensationCalled() if under_way:
                yield f"{event.step} is undone while {under_way} may still run"
            case _ if isinstance(event, (*ENDS, OutputNotReceived, StepResolved)):
                under_way.discard(event.step)


def undo_runs_backwards(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I3, I4. Only what may have happened is undone, the last first, each in its turn."""
    ended = list(_ended(history))
    place = {step: number for number, step in enumerate(ended)}
    begun = dict.fromkeys(one.step for one in history if isinstance(one, CompensationCalled))
    for step in begun:
        if step not in may_have_happened(definition, history):
            yield f"{step} is undone and has nothing to undo"
    order = list(begun)
    if order != sorted(order, key=lambda step: -place.get(step, -1)):
        yield f"undone in the order {order} what ended in the order {ended}"


def _ended(history: Sequence[Event]) -> Iterator[str]:
    """A step that is done has ended, though its output may come again."""
    done: set[str] = set()
    for event in history:
        if isinstance(event, ENDS) and event.step not in done:
            yield event.step
        if isinstance(event, StepSucceeded):
            done.add(event.step)


def undo_follows_the_graph(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I4. Whoever came after a step is undone, or could not be, before that step is."""
    done: set[str] = set()
    over: set[str] = set()
    for event in history:
        match event:
            case StepSucceeded(step=step):
                done.add(step)
            case CompensationSucceeded(step=step) | CompensationFailed(step=step):
                over.add(step)
            case StepResolved(step=step):
                over.add(step)
            case CompensationCalled(step=undone):
                for name in sorted(done - over):
                    later = definition[name]
                    follows = undone in definition.predecessors(name)
                    if follows and later.compensation is not None and later.has_effect:
                        yield f"{undone} is undone before {name}, which came after it"
            case _:
                pass


def doubt_has_a_reason(history: Sequence[Event], participants: ParticipantsModel) -> Iterator[str]:
    """R3. A step counts as unknown only if some answer about it was lost, or is still to come."""
    given_up = any(isinstance(one, SagaAbandoned) for one in history)
    for event in () if given_up else history:
        if isinstance(event, StepUnknown) and event.step not in participants.uncertain_steps:
            yield f"{event.step} counts as unknown, and all about it was heard"


def failures_stop(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """R5. After a failed compensation nothing else is undone, unless it may be passed over.

    What a person asks for after that begins anew.
    """
    stopped = False
    for event in history:
        stopped = stopped and not isinstance(event, SagaUnparked | RetryRequested)
        if isinstance(event, CompensationFailed):
            undo = definition[event.step].compensation
            stopped = stopped or (undo is not None and undo.on_failure is OnFailure.PARK)
        if stopped and isinstance(event, CompensationCalled):
            yield f"{event} after a failure that stops"


def failures_are_passed_over(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """R5. Where every failure may be passed over, only what has failed is left at the end."""
    parked = history[-1]
    if not isinstance(parked, SagaParked) or CANNOT_BE_CALLED in parked.reason:
        return
    if not any(isinstance(one, CompensationStarted) for one in history):
        return
    failed = {one.step for one in history if isinstance(one, CompensationFailed)}
    if any(_policy(definition, step) is not OnFailure.CONTINUE for step in failed):
        return
    stakes = at_stake(definition, history)
    left = {step for step in stakes if definition[step].compensation is not None} - failed
    if left:
        yield f"parked over {sorted(failed)}, and nobody tried to undo {sorted(left)}"


def undo_is_tried_as_told(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """R5. As often as the compensation says, and less often only where it was refused."""
    tried: Counter[str] = Counter()
    given_up = any(isinstance(one, SagaAbandoned) for one in history)
    for event in history:
        match event:
            case CompensationBackedOff(step=step, outcome=outcome) if (
                outcome not in DOES_NOT_CONSUME_ATTEMPT
            ):
                tried[step] += 1
                if tried[step] >= _attempts(definition, step):
                    yield f"{step} is to be undone once more after {tried[step]} attempts"
            case CompensationFailed(step=step, error=error):
                refused = error == answers.REJECTED.reason
                if not (refused or given_up) and tried[step] + 1 < _attempts(definition, step):
                    yield f"the undo of {step} was given up after {tried[step] + 1} attempts"
                tried[step] = 0
            case _:
                pass


def _policy(definition: Definition, step: str) -> OnFailure:
    undo = definition[step].compensation
    return OnFailure.PARK if undo is None else undo.on_failure


def _attempts(definition: Definition, step: str) -> float:
    """A saga that is a step is asked once."""
    undo = definition[step].compensation
    attempts = 1 if undo is None else undo.retry.attempts
    return inf if attempts is None else attempts
