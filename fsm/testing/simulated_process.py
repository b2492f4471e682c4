"""One saga driven in memory, by a process that forgets everything but its log when it crashes.

The log holds what the real one would, encoded events and when they were recorded. `sent` are the
calls that have left and are not answered; sagas that are steps it does not start. A crash throws
the saga away, folds it anew from the bytes, and sends again whatever the log says was sent, unless
the saga goes back: nobody knows what became of it.
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

# Promises read a short log again and again.
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
    """A call that has left; `resent` if a process that died may have sent it before."""

    call: CallParticipant
    resent: bool
    epoch: int = 1

    def result(self, verdict: CallOutcome) -> CallCompleted:
        return CallCompleted(
            step=self.call.step,
            direction=self.call.direction,
            attempt=self.call.attempt,
            outcome=verdict,
            resent=self.resent,
        )


class SimulatedProcess:
    """`seen` is what the log says of the saga after each decision, by version; `repeated` are the
    calls that were sent again after a crash, with the version at which they were.
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
        self.resent_after_crash: list[tuple[int, CallParticipant]] = []
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
        process.states_by_version, process.resent_after_crash = {}, []
        process.epoch = process.log[-1].epoch
        process.now = process.log[-1].at
        process.saga = process.replayed()
        return process

    def handle(self, happening: Input, *, now: datetime, jitter: float = 0.5) -> Decision:
        """Decide, record, and only then send. Raises NotAllowed."""
        self.now = now
        decision = decide(self.saga, happening, now=now, jitter=jitter)
        self._commit(decision)
        return decision

    def receive(
        self, sent: SentCall, verdict: CallOutcome, *, now: datetime, jitter: float = 0.5
    ) -> None:
        """The answer to a call that has left."""
        self.in_flight.remove(sent)
        self.handle(sent.result(verdict), now=now, jitter=jitter)

    def crash(self) -> None:
        """Die, and come back with nothing but the log."""
        self.epoch += 1
        self.saga = recovered(self.replayed(), self.now)
        calls = [one for one in pending_instructions(self.saga) if isinstance(one, CallParticipant)]
        self.in_flight = []
        self._send(calls, resent=True)
        self.resent_after_crash += [(len(self.log), call) for call in calls]

    def replayed(self, version: int | None = None) -> Saga:
        """The saga as the log tells it, up to `version`."""
        told = ((one.event, one.at) for one in self.log[:version])
        return replay(self.definition, self.saga_id, told)

    @property
    def history(self) -> Sequence[Event]:
        return [one.event for one in self.log]

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
