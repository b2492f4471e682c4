"""Check a simulated saga against every invariant: its log, its calls, its memory, its effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from ..call_outcome import Direction
from ..decider.decide import is_idle
from ..events import Event
from ..instructions import CallParticipant, pending_call
from ..invariants import (
    Breach,
    ClientAck,
    History,
    HistoryEntry,
    Invariant,
    LedgerCoverage,
    LedgerEntry,
    Violation,
    acknowledgements_hold,
    awaited_children,
    calls_were_intended,
    certainty_holds,
    compensations_use_their_attempts,
    effects_match_log,
    fold,
    forward_calls_stop,
    keys_are_constant,
    pivots_hold,
    states_match_log,
    uncertainty_has_a_cause,
    violations,
    violations_of,
    waits_have_a_wakeup,
)
from ..invariants.calls import ACTION_RESULTS, COMPENSATION_RESULTS, intent_of
from ..saga import Saga
from ..state import as_recorded
from .participants_model import Effect, ParticipantsModel
from .scenario import NOON
from .simulated_process import SimulatedProcess

END_OF_TIME = datetime.max.replace(tzinfo=UTC)

CallId: TypeAlias = tuple[str, Direction, int]  # step, direction, attempt


def violated_invariants(
    process: SimulatedProcess, participants: ParticipantsModel, *, truthful_operator: bool = True
) -> list[Violation]:
    """Return the violations of everything that must hold of a saga after each decision.

    A `truthful_operator` calls a step done only if its participant did it, and undone only after
    `participants.undo_by_hand`. Then the log must agree with the participants without exception.
    """
    history = history_of(process)
    violated = [*violations(history)]
    for invariant, breaches in (
        *(_with_truthful_operator(history) if truthful_operator else ()),
        *_against_participants(history, process, participants, truthful_operator),
        *_against_memory(history, process),
    ):
        violated += violations_of(invariant, history.saga_id, breaches)
    return list(dict.fromkeys(violated))


def history_of(process: SimulatedProcess) -> History:
    """Return the history in the log of a process."""
    entries = [
        HistoryEntry(
            event=row.event, version=version, seq=version, epoch=row.epoch, recorded_at=row.at
        )
        for version, row in enumerate(process.log, 1)
    ]
    return fold(process.definition, process.saga_id, entries)


def _with_truthful_operator(history: History) -> Iterator[tuple[Invariant, Iterator[Breach]]]:
    yield Invariant.PIVOTS_HOLD, pivots_hold(history, truthful_operator=True)
    yield Invariant.UNCERTAINTY_HAS_A_CAUSE, certainty_holds(history)


def _against_participants(
    history: History,
    process: SimulatedProcess,
    participants: ParticipantsModel,
    truthful_operator: bool,
) -> Iterator[tuple[Invariant, Iterator[Breach]]]:
    """Compare the log with the calls that left or arrived, and with what really happened."""
    calls = [_call_entry(sent.call, sent.epoch) for sent in process.all_sent]
    calls += [_call_entry(call, None) for call in participants.received]
    effects = [_effect_entry(history, effect) for effect in participants.effects]
    participants_called = frozenset(step.participant for step in history.definition.steps)
    coverage = LedgerCoverage(participants_called, END_OF_TIME, marks_every_success=True)
    refused = participants.refused_compensations
    disagreements = effects_match_log(
        history, [*calls, *effects], coverage, truthful_operator=truthful_operator
    )
    yield Invariant.INTENTS_COME_FIRST, calls_were_intended(history, calls)
    yield Invariant.KEYS_ARE_CONSTANT, keys_are_constant(history, calls)
    yield Invariant.CALLS_SETTLE_BEFORE_COMPENSATION, forward_calls_stop(history, calls)
    yield Invariant.REST_REPORT_IS_TRUE, disagreements
    yield (
        Invariant.UNCERTAINTY_HAS_A_CAUSE,
        uncertainty_has_a_cause(history, participants.uncertain_steps),
    )
    yield (
        Invariant.COMPENSATION_POLICY_HOLDS,
        compensations_use_their_attempts(history, lambda *attempt: attempt in refused),
    )


def _against_memory(
    history: History, process: SimulatedProcess
) -> Iterator[tuple[Invariant, Iterator[Breach]]]:
    """Compare the log with the saga in the memory of the process."""
    state = process.saga.state
    latest = dict(list(process.states_by_version.items())[-2:])
    states = {**latest, state.version: as_recorded(state)}
    answer = ClientAck(
        at=state.updated_at, saga_id=state.saga_id, status=state.status, version=state.version
    )
    yield Invariant.STATUS_IS_A_FOLD, states_match_log(history, states)
    yield Invariant.STATUS_IS_A_FOLD, _memory_is_current(history, process.saga)
    yield Invariant.ACKNOWLEDGEMENTS_HOLD, acknowledgements_hold(history, [answer])
    yield Invariant.WAITS_HAVE_A_WAKEUP, waits_have_a_wakeup(replace(history, saga=process.saga))
    yield Invariant.WAITS_HAVE_A_WAKEUP, _idle_sagas_have_no_calls(process.saga)


def _memory_is_current(history: History, saga: Saga) -> Iterator[Breach]:
    if saga.state.version != history.version:
        detail = f"the process is at version {saga.state.version} of {history.version}"
        yield Breach(history.version, detail)


def _idle_sagas_have_no_calls(saga: Saga) -> Iterator[Breach]:
    """An idle saga can be evicted from memory: none of its calls or child sagas is awaited."""
    active = [step.name for step, state in saga.steps if pending_call(state) is not None]
    active += [step.name for step, _ in awaited_children(saga) if step.name not in active]
    if active and is_idle(saga):
        yield Breach(saga.state.version, f"idle, and {', '.join(active)} is under way")


def _call_entry(call: CallParticipant, epoch: int | None) -> LedgerEntry:
    return LedgerEntry(
        at=NOON,
        participant=call.participant,
        key=call.key,
        saga_id=call.saga_id,
        step=call.step,
        direction=call.direction,
        attempt=call.attempt,
        epoch=epoch,
        method=call.method,
        path=call.path,
        content=repr((sorted(call.headers.items()), call.body)),
    )


def _effect_entry(history: History, effect: Effect) -> LedgerEntry:
    return LedgerEntry(
        at=NOON,
        participant=history.definition[effect.step].participant,
        key=history.saga.key(effect.step, effect.direction),
        saga_id=history.saga_id,
        step=effect.step,
        direction=effect.direction,
        attempt=1,
        effect=True,
    )


def call_id(call: CallParticipant) -> CallId:
    return call.step, call.direction, call.attempt


def unanswered_calls(events: Sequence[Event]) -> list[CallId]:
    """Return the calls that have an intent among the events, and no result."""
    in_flight: dict[str, CallId] = {}
    for event in events:
        if (call := intent_of(event)) is not None:
            in_flight[call[0]] = call
        elif isinstance(event, (*ACTION_RESULTS, *COMPENSATION_RESULTS)):
            in_flight.pop(event.step, None)
    return list(in_flight.values())
