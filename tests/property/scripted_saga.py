"""Stories about one saga, told in words: what its participants answer, and what happens besides.

A word is the fate of the call that is out, or of the next one where the saga waits for a time; or
it is one of those below. What is not possible when its word comes does not happen.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from saga_orchestrator.fsm.decider.decide import allowed_actions
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.inputs import (
    Compensate,
    OperatorCommand,
    Pause,
    Resume,
    Retry,
    StartSaga,
    TimerFired,
)
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
    violated_invariants,
)

TURN, RETRY, PAUSE, RESUME = "compensate", "retry", "pause", "resume"
DEADLINE = "the deadline passes"
CRASHES = ["a crash before it arrives", "a crash after it arrived"]
CALLBACKS = ["a callback says no", "a callback says done"]
VERBS: Final[dict[str, OperatorCommand]] = {
    TURN: Compensate(),
    RETRY: Retry(),
    PAUSE: Pause(),
    RESUME: Resume(),
}
MAX_TURNS_TO_REST = 40


class ScriptedSaga:
    def __init__(self, definition: Definition) -> None:
        request = StartSaga(entity_id="order-1", input={})
        self.process = SimulatedProcess(definition, SAGA_ID, request, now=NOON)
        self.participants = ParticipantsModel()
        self.now: datetime = NOON

    @property
    def status(self) -> str:
        return self.process.saga.state.status

    @property
    def rests(self) -> bool:
        return self.process.saga.state.status.is_at_rest

    def play(self, words: Iterable[str]) -> None:
        for word in words:
            self.happen(word)
            self.all_promises_are_kept()

    def come_to_rest(self) -> None:
        """From now on everything is done."""
        self.happen(RESUME)
        for _ in range(MAX_TURNS_TO_REST):
            if not self.rests:
                self.happen(ParticipantBehavior.DONE)
        self.all_promises_are_kept()
        assert self.rests, f"still {self.status}"

    def all_promises_are_kept(self) -> None:
        found = violated_invariants(self.process, self.participants)
        assert found == []

    def happen(self, word: str) -> None:
        if word in VERBS:
            self._ask(word)
        elif word == DEADLINE:
            self._wake(self.process.saga.state.deadline)
        elif word in CALLBACKS:
            self._call_back(done=word == CALLBACKS[1])
        elif word in CRASHES:
            self._crash(arrived=word == CRASHES[1])
        else:
            self._answer(word)

    def _ask(self, verb: str) -> None:
        if verb in allowed_actions(self.process.saga):
            self.process.handle(VERBS[verb], now=self.now)

    def _wake(self, at: datetime | None) -> None:
        if at is not None:
            self.now = max(self.now, at)
            self.process.handle(TimerFired(), now=self.now)

    def _call_back(self, *, done: bool) -> None:
        for step in self.participants.callback_candidates(
            one.call for one in self.process.in_flight
        ):
            self.process.handle(self.participants.send_callback(step, done=done), now=self.now)

    def _answer(self, fate: str) -> None:
        if not self.process.in_flight:
            self._wake(next_wakeup(self.process.saga))
        if not self.process.in_flight:
            return
        sent = self.process.in_flight[0]
        verdict = self.participants.answer(sent.call, ParticipantBehavior(fate))
        self.process.receive(sent, verdict, now=self.now)

    def _crash(self, *, arrived: bool) -> None:
        for sent in self.process.in_flight:
            self.participants.crash_during(sent.call, arrived=arrived)
        self.process.crash()
        for sent in self.process.in_flight:  # of some nobody knows any more that they were answered
            self.participants.crash_during(sent.call, arrived=False)
