"""A saga driven in memory, by a process that forgets everything but its log when it crashes.

The log holds what the real one would: encoded events, with the times at which they were recorded. A
crash discards the saga, folds it anew from those bytes, and sends again the calls that the log
calls pending, unless the saga compensates. Child sagas are not started.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Self

from ..call_outcome import CallOutcome
from ..codec import decode, encode
from ..decider.decide import decide, start
from ..decider.decision import Decision
from ..definitions.definition import Definition
from ..events import Event
from ..inputs import CallCompleted, Input, StartSaga
from ..instructions import CallParticipant, pending_instructions, recovered
from ..saga import Saga, replay
from ..state import SagaState, as_recorded

# Checks read a short log again and again.
_decoded = lru_cache(maxsize=1024)(decode)


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log."""

    type: str
    schema_version: int
    payload: bytes
    at: datetime
    epoch: int = 1

    @property
    def event(self) -> Event:
        return _decoded(self.type, self.schema_version, self.payload)


@dataclass(frozen=True, slots=True)
class SentCall:
    """A call that has left; `resent` if an earlier process may have sent it before."""

    call: CallParticipant
    resent: bool
    epoch: int = 1

    def result(self, outcome: CallOutcome) -> CallCompleted:
        return CallCompleted(
            step=self.call.step,
            direction=self.call.direction,
            attempt=self.call.attempt,
            outcome=outcome,
            resent=self.resent,
        )


class SimulatedProcess:
    """A process with one saga. Its `epoch` grows with each crash.

    `in_flight` are the calls without an answer, `all_sent` those that ever left, and
    `states_by_version` the states that were seen after each decision.
    """

    def __init__(
        self, definition: Definition, saga_id: str, request: StartSaga, *, now: datetime
    ) -> None:
        self.definition, self.saga_id = definition, saga_id
        self.log: list[LogRow] = []
        self.in_flight: list[SentCall] = []
        self.all_sent: list[SentCall] = []
        self.epoch = 1
        self.states_by_version: dict[int, SagaState] = {}
        self.now = now
        self._commit(start(definition, saga_id, request, now=now))

    @classmethod
    def from_log(cls, definition: Definition, saga_id: str, log: Iterable[LogRow]) -> Self:
        """Return a process that has read the log of another and sent nothing itself.

        Raises CorruptStream.
        """
        process = cls.__new__(cls)
        process.definition, process.saga_id = definition, saga_id
        process.log, process.in_flight, process.all_sent = list(log), [], []
        process.states_by_version = {}
        process.epoch = process.log[-1].epoch
        process.now = process.log[-1].at
        process.saga = process.replayed()
        return process

    def handle(self, received: Input, *, now: datetime, jitter: float = 0.5) -> Decision:
        """Decide, record, and only then send. Raises NotAllowed."""
        self.now = now
        decision = decide(self.saga, received, now=now, jitter=jitter)
        self._commit(decision)
        return decision

    def receive(
        self, sent: SentCall, outcome: CallOutcome, *, now: datetime, jitter: float = 0.5
    ) -> None:
        """Handle the answer to a call in flight."""
        self.in_flight.remove(sent)
        self.handle(sent.result(outcome), now=now, jitter=jitter)

    def crash(self) -> None:
        """Die, and come back with nothing but the log."""
        self.epoch += 1
        self.saga = recovered(self.replayed(), self.now)
        pending = pending_instructions(self.saga)
        self.in_flight = []
        self._send([call for call in pending if isinstance(call, CallParticipant)], resent=True)

    def replayed(self, version: int | None = None) -> Saga:
        """Return the saga that the log folds into, up to `version`."""
        recorded = ((row.event, row.at) for row in self.log[:version])
        return replay(self.definition, self.saga_id, recorded)

    @property
    def history(self) -> Sequence[Event]:
        return [row.event for row in self.log]

    def _commit(self, decision: Decision) -> None:
        at = decision.saga.state.updated_at
        for event in decision.events:
            payload = encode(event)
            self.log.append(LogRow(event.type_name, event.schema_version, payload, at, self.epoch))
        self.saga = decision.saga
        self.states_by_version[self.saga.state.version] = as_recorded(self.saga.state)
        self._send(decision.calls, resent=False)

    def _send(self, calls: Iterable[CallParticipant], *, resent: bool) -> None:
        sent = [SentCall(call, resent, self.epoch) for call in calls]
        self.in_flight += sent
        self.all_sent += sent
