"""One saga under examination: its stream as it stands in the log, and what is held against it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from ..eventstore import RecordedEvent
from ..fsm.codec import UnreadableEvent, decode
from ..fsm.definition import Completion, Definition
from ..fsm.errors import CorruptStream
from ..fsm.events import SagaStarted
from ..fsm.invariants import (
    Entry,
    Flaw,
    History,
    Notice,
    Promise,
    Violation,
    answers_are_kept,
    comes_to_rest,
    fold,
    late_calls,
    log_is_whole,
    secrets_are_kept,
    violations,
    violations_of,
    violations_of_calls,
)
from .witnesses import Witnesses

Finding: TypeAlias = Violation | Notice
Definitions: TypeAlias = Mapping[tuple[str, int], Definition]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What all sagas are judged by. `secrets` in every form; `token_of` is that of the callbacks of
    a saga's step. What should have gone on before `overdue` stands still."""

    definitions: Definitions
    witnesses: Witnesses
    overdue: datetime
    secrets: Collection[bytes] = ()
    token_of: Callable[[str, str], str] | None = None


@dataclass(slots=True)
class Case:
    """`history` is there once `findings` has been asked, if all of it could be folded."""

    stream: Sequence[RecordedEvent]
    grounds: Grounds
    served_since: datetime
    history: History | None = field(init=False, default=None)

    @property
    def saga_id(self) -> str:
        return self.stream[0].stream_id

    def findings(self) -> Iterator[Finding]:
        """Nothing but its damage is told of a stream that is not whole."""
        entries, unreadable = _read(self.stream)
        if damage := [*log_is_whole(entries)] if entries else []:
            yield from self._violations(Promise.LOG_IS_WHOLE, damage)
            return
        try:
            definitions = self.grounds.definitions
            yield from self._judge(_fold(self.saga_id, entries, unreadable, definitions))
        except Exception as error:  # noqa: BLE001 - one broken history never blocks another
            yield from self._violations(Promise.STATUS_IS_A_FOLD, [Flaw(1, str(error))])
        yield from self._violations(Promise.SECRETS_ARE_KEPT, self._exposures())

    def _judge(self, history: History) -> Iterator[Finding]:
        """Of a history that breaks off, only what stands before that."""
        yield from violations(history)
        if history.broken is None:
            self.history = history
            yield from self._judge_whole(history)

    def _judge_whole(self, history: History) -> Iterator[Finding]:
        told = self.grounds.witnesses
        calls, answers = told.calls.get(self.saga_id, ()), told.answers.get(self.saga_id, ())
        yield from violations_of_calls(history, calls, told.watch)
        yield from late_calls(calls)
        yield from self._violations(Promise.ANSWERS_ARE_KEPT, answers_are_kept(history, answers))
        overdue, since = self.grounds.overdue, self.served_since
        stuck = comes_to_rest(history, served_since=since, overdue=overdue)
        yield from self._violations(Promise.ALL_COMES_TO_REST, stuck)

    def _exposures(self) -> Iterator[Flaw]:
        payloads = ((one.version, one.payload) for one in self.stream)
        return secrets_are_kept(payloads, [*self.grounds.secrets, *self._tokens()])

    def _tokens(self) -> Iterator[bytes]:
        token_of, history = self.grounds.token_of, self.history
        for step in history.definition.steps if history is not None else ():
            if step.completion is Completion.CALLBACK and token_of is not None:
                yield token_of(self.saga_id, step.name).encode()

    def _violations(
        self, promise: Promise, flaws: Iterator[Flaw] | Sequence[Flaw]
    ) -> Iterator[Violation]:
        return violations_of(promise, self.saga_id, flaws)


def fold_stream(stream: Sequence[RecordedEvent], definitions: Definitions) -> History:
    """Raises CorruptStream."""
    return _fold(stream[0].stream_id, *_read(stream), definitions)


def _fold(
    saga_id: str, entries: Sequence[Entry], unreadable: Flaw | None, definitions: Definitions
) -> History:
    first = entries[0].event if entries else None
    if not isinstance(first, SagaStarted):
        raise CorruptStream(saga_id, 1, "it does not begin with a start that can be read")
    named = (first.saga_type, first.definition_version)
    if (definition := definitions.get(named)) is None:
        raise CorruptStream(saga_id, 1, f"{named[0]} {named[1]} is not registered")
    return fold(definition, saga_id, entries, unreadable)


def _read(stream: Sequence[RecordedEvent]) -> tuple[Sequence[Entry], Flaw | None]:
    """The events up to the first that cannot be read, and what is wrong with that one."""
    entries: list[Entry] = []
    for one in stream:
        try:
            event = decode(one.type, one.schema_version, one.payload)
        except UnreadableEvent as error:
            return entries, Flaw(one.version, str(error))
        entries.append(
            Entry(
                event=event,
                version=one.version,
                seq=one.seq,
                epoch=one.epoch,
                recorded_at=one.recorded_at,
            )
        )
    return entries, None
