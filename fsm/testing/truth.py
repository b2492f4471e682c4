"""What is told of a resting saga is what its participants have done: I2, and R3 with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from ..call_outcome import Direction
from ..definitions.definition import Definition, Step
from ..events import (
    CompensationImplied,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    LateReplyIgnored,
    Resolution,
    SagaAbandoned,
    SagaParked,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
)
from ..machines import SagaStatus
from .participants_model import ParticipantsModel
from .simulated_process import SimulatedProcess

# What was accepted before a saga parked may end while it rests, and is told then.
HEARD_AT_REST = (StepSucceeded, StepRejected, LateReplyIgnored)


def truth_at_rest(process: SimulatedProcess, participants: ParticipantsModel) -> Iterator[str]:
    """I2. What is told of a resting saga is what its participants have done."""
    effectful = [step for step in process.definition.steps if step.has_effect]
    standing = [step.name for step in effectful if _stands(process.definition, step, participants)]
    match process.saga.state.status:
        case SagaStatus.COMPLETED:
            yield from _all_done_once(process, participants)
        case SagaStatus.COMPENSATED:
            stakes = at_stake(process.definition, process.history)
            if left := sorted({*standing, *stakes}):
                yield f"compensated, and {left} still stand"
        case SagaStatus.PARKED:
            yield from _parked_truly(process, standing, participants)
        case SagaStatus.ABANDONED:
            yield from _given_up_truly(process, standing)
        case _:
            pass


def _all_done_once(process: SimulatedProcess, participants: ParticipantsModel) -> Iterator[str]:
    definition = process.definition
    done = [one.step for one in participants.effects if one.direction is Direction.ACTION]
    skipped = {event.step for event in process.history if isinstance(event, StepSkipped)}
    acting = [step.name for step in definition.steps if step.action is not None]
    if sorted(done) != sorted(name for name in acting if name not in skipped):
        yield f"completed without {skipped}, and done were {done}"
    for place, step in enumerate(done):
        if early := definition.predecessors(step) & set(done[place + 1 :]):
            yield f"{step} was done before {sorted(early)}, which it comes after"
    if undone := [
        one.step for one in participants.effects if one.direction is not Direction.ACTION
    ]:
        yield f"completed, and undone were {undone}"


def _parked_truly(
    process: SimulatedProcess, standing: Sequence[str], participants: ParticipantsModel
) -> Iterator[str]:
    heard = list(takewhile(lambda one: not isinstance(one, SagaParked), reversed(process.history)))
    if moved := [one for one in heard if not isinstance(one, HEARD_AT_REST)]:
        yield f"parked, and then {moved}"
        return
    history = process.history[: len(process.history) - len(heard)]
    parked = history[-1]
    assert isinstance(parked, SagaParked)
    if any(isinstance(event, CompensationStarted) for event in history):
        stakes = at_stake(process.definition, history)
        if set(parked.not_undone) != stakes:
            yield f"parked with {parked.not_undone} not undone, but it is {stakes}"
        if unlisted := set(standing) - set(parked.not_undone):
            yield f"parked without a word of {unlisted}"
    else:
        done = _done(history)
        skipped = {event.step for event in history if isinstance(event, StepSkipped)}
        names = [step.name for step in process.definition.steps]
        not_done = [name for name in names if name not in done | skipped]
        if list(parked.not_done) != not_done:
            yield f"parked with {parked.not_done} not done, but it is {not_done}"
        acting = [one for one in done if process.definition[one].action is not None]
        if lies := sorted(one for one in acting if not participants.has_done(one)):
            yield f"{lies} are called done"


def _done(history: Sequence[Event]) -> set[str]:
    """Said by the participant, or by a person."""
    return {
        event.step
        for event in history
        if isinstance(event, StepSucceeded)
        or (isinstance(event, StepResolved) and event.verdict is Resolution.DONE)
    }


def _given_up_truly(process: SimulatedProcess, standing: Sequence[str]) -> Iterator[str]:
    for event in process.history:
        if isinstance(event, SagaAbandoned) and (unlisted := set(standing) - {*event.not_undone}):
            yield f"abandoned without a word of {sorted(unlisted)}"


def _stands(definition: Definition, step: Step, participants: ParticipantsModel) -> bool:
    """Whether its effect is there; who is undone by another step goes with that one."""
    undone = participants.has_compensated(step.undone_by or step.name)
    return participants.has_done(step.name) and not undone


def at_stake(definition: Definition, history: Sequence[Event]) -> set[str]:
    """The steps that have to be undone to go back, and are not yet."""
    undone = {
        one.step
        for one in history
        if isinstance(one, CompensationSucceeded | CompensationImplied)
        or (isinstance(one, StepResolved) and one.verdict is Resolution.UNDONE)
    }
    return may_have_happened(definition, history) - undone


def may_have_happened(definition: Definition, history: Sequence[Event]) -> set[str]:
    """R3: of the steps with an effect; a rejected one counts if it asks for it."""
    stakes: set[str] = set()
    doubted: set[str] = set()
    for event in history:
        match event:
            case StepSucceeded(step=step) | StepUnknown(step=step):
                stakes.add(step)
            case StepResolved(step=step, verdict=Resolution.DONE):
                stakes.add(step)
            case StepResolved(step=step, verdict=Resolution.NOT_DONE):
                stakes.discard(step)
                doubted.discard(step)
            case StepBackedOff(step=step) if event.resent or event.outcome == "unknown":
                doubted.add(step)
            case StepConfirmedNotExecuted(step=step):
                doubted.discard(step)
            case StepRejected(step=step):
                asks = definition[step].compensate_on_reject
                if definition[step].child is not None:
                    stakes.discard(step)  # it was undone, also where it had been done before
                elif asks or event.resent or step in doubted:
                    stakes.add(step)
            case _:
                pass
    return {step for step in stakes if definition[step].has_effect}
