"""The audit of one saga: its stream as recorded, checked against the invariants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from ...eventstore import RecordedEvent
from ...fsm.codec import UnreadableEvent, decode
from ...fsm.definitions.definition import Completion, Definition
from ...fsm.errors import CorruptStream
from ...fsm.events import SagaStarted
from ...fsm.invariants import (
    Breach,
    History,
    HistoryEntry,
    Invariant,
    Notice,
    Violation,
    acknowledgements_hold,
    fold,
    late_calls,
    log_has_no_gaps,
    sagas_make_progress,
    secrets_are_absent,
    violations,
    violations_of,
    violations_of_calls,
)
from .evidence import Evidence

AuditFinding: TypeAlias = Violation | Notice
Definitions: TypeAlias = Mapping[tuple[str, int], Definition]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditContext:
    """Inputs shared by all audits.

    `secrets` are in every form in which they may be spelled. `callback_token` returns the token of
    a saga's step. A saga that should have gone on before `overdue` is overdue.
    """

    definitions: Definitions
    evidence: Evidence
    overdue: datetime
    secrets: Collection[bytes] = ()
    callback_token: Callable[[str, str], str] | None = None


@dataclass(slots=True)
class SagaAudit:
    """The audit of one saga. `findings` sets `history` if the whole stream can be replayed."""

    stream: Sequence[RecordedEvent]
    context: AuditContext
    served_since: datetime
    history: History | None = field(init=False, default=None)

    @property
    def saga_id(self) -> str:
        return self.stream[0].stream_id

    def findings(self) -> Iterator[AuditFinding]:
        """Yield all findings; of a damaged stream only the damage."""
        entries, unreadable = _decode_stream(self.stream)
        if damage := [*log_has_no_gaps(entries)] if entries else []:
            yield from self._violations(Invariant.LOG_HAS_NO_GAPS, damage)
            return
        try:
            definitions = self.context.definitions
            yield from self._check_history(_replay(self.saga_id, entries, unreadable, definitions))
        except Exception as error:  # noqa: BLE001 - one broken history never blocks another
            yield from self._violations(Invariant.STATUS_IS_A_FOLD, [Breach(1, str(error))])
        yield from self._violations(Invariant.SECRETS_ARE_ABSENT, self._exposures())

    def _check_history(self, history: History) -> Iterator[AuditFinding]:
        """Check a history, up to the event at which its replay fails."""
        yield from violations(history)
        if history.broken is None:
            self.history = history
            yield from self._check_complete_history(history)

    def _check_complete_history(self, history: History) -> Iterator[AuditFinding]:
        evidence = self.context.evidence
        calls = evidence.calls.get(self.saga_id, ())
        acks = evidence.acknowledgements.get(self.saga_id, ())
        yield from violations_of_calls(history, calls, evidence.coverage)
        yield from late_calls(calls)
        yield from self._violations(
            Invariant.ACKNOWLEDGEMENTS_HOLD, acknowledgements_hold(history, acks)
        )
        overdue, since = self.context.overdue, self.served_since
        breaches = sagas_make_progress(history, served_since=since, overdue=overdue)
        yield from self._violations(Invariant.SAGAS_MAKE_PROGRESS, breaches)

    def _exposures(self) -> Iterator[Breach]:
        payloads = ((event.version, event.payload) for event in self.stream)
        return secrets_are_absent(payloads, [*self.context.secrets, *self._tokens()])

    def _tokens(self) -> Iterator[bytes]:
        callback_token, history = self.context.callback_token, self.history
        if callback_token is None or history is None:
            return
        for step in history.definition.steps:
            if step.completion is Completion.CALLBACK:
                yield callback_token(self.saga_id, step.name).encode()

    def _violations(
        self, invariant: Invariant, breaches: Iterator[Breach] | Sequence[Breach]
    ) -> Iterator[Violation]:
        return violations_of(invariant, self.saga_id, breaches)


def replay_stream(stream: Sequence[RecordedEvent], definitions: Definitions) -> History:
    """Replay a recorded stream. Raises CorruptStream."""
    return _replay(stream[0].stream_id, *_decode_stream(stream), definitions)


def _replay(
    saga_id: str,
    entries: Sequence[HistoryEntry],
    unreadable: Breach | None,
    definitions: Definitions,
) -> History:
    first = entries[0].event if entries else None
    if not isinstance(first, SagaStarted):
        raise CorruptStream(saga_id, 1, "it does not begin with a readable SagaStarted")
    saga_type, version = first.saga_type, first.definition_version
    if (definition := definitions.get((saga_type, version))) is None:
        raise CorruptStream(saga_id, 1, f"{saga_type} {version} is not registered")
    return fold(definition, saga_id, entries, unreadable)


def _decode_stream(stream: Sequence[RecordedEvent]) -> tuple[Sequence[HistoryEntry], Breach | None]:
    """Return the events before the first unreadable event, and the breach of that event."""
    entries: list[HistoryEntry] = []
    for recorded in stream:
        try:
            event = decode(recorded.type, recorded.schema_version, recorded.payload)
        except UnreadableEvent as error:
            return entries, Breach(recorded.version, str(error))
        entries.append(
            HistoryEntry(
                event=event,
                version=recorded.version,
                seq=recorded.seq,
                epoch=recorded.epoch,
                recorded_at=recorded.recorded_at,
            )
        )
    return entries, None
