"""Stories about one saga, told in words: what its participants answer, and what happens besides.

A word is the fate of the call that is out, or of the next one where the saga waits for a time; or
it is one of those below. What is not possible when its word comes does not happen.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.decide import allowed_actions
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.happening import (
    CompensationAsked,
    PauseAsked,
    ResumeAsked,
    RetryAsked,
    StartRequested,
    TimePassed,
    Verb,
)
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    Fate,
    ParticipantsModel,
    Process,
    broken,
)

TURN, RETRY, PAUSE, RESUME = "compensate", "retry", "pause", "resume"
DEADLINE = "the deadline passes"
CRASHES = ["a crash before it arrives", "a crash after it arrived"]
CALLBACKS = ["a callback says no", "a callback says done"]
VERBS: Final[dict[str, Verb]] = {
    TURN: CompensationAsked(),
    RETRY: RetryAsked(),
    PAUSE: PauseAsked(),
    RESUME: ResumeAsked(),
}
TURNS_TO_REST = 40


class Story:
    def __init__(self, definition: Definition) -> None:
        request = StartRequested(entity_id="order-1", input={})
        self.process = Process(definition, SAGA_ID, request, now=NOON)
        self.participants = ParticipantsModel()
        self.now: datetime = NOON

    @property
    def status(self) -> str:
        return self.process.saga.state.status

    @property
    def rests(self) -> bool:
        return self.process.saga.state.status.rests

    def tell(self, words: Iterable[str]) -> None:
        for word in words:
            self.happen(word)
            self.all_promises_are_kept()

    def come_to_rest(self) -> None:
        """From now on everything is done."""
        self.happen(RESUME)
        for _ in range(TURNS_TO_REST):
            if not self.rests:
                self.happen(Fate.DONE)
        self.all_promises_are_kept()
        assert self.rests, f"still {self.status}"

    def all_promises_are_kept(self) -> None:
        found = broken(self.process, self.participants)
        assert found == [], "; ".join(found)

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
            self.process.happen(VERBS[verb], now=self.now)

    def _wake(self, at: datetime | None) -> None:
        if at is not None:
            self.now = max(self.now, at)
            self.process.happen(TimePassed(), now=self.now)

    def _call_back(self, *, done: bool) -> None:
        for step in self.participants.reportable(one.call for one in self.process.sent):
            self.process.happen(self.participants.report(step, done=done), now=self.now)

    def _answer(self, fate: str) -> None:
        if not self.process.sent:
            self._wake(wake_up(self.process.saga))
        if not self.process.sent:
            return
        sent = self.process.sent[0]
        verdict = self.participants.answer(sent.call, Fate(fate))
        self.process.receive(sent, verdict, now=self.now)

    def _crash(self, *, arrived: bool) -> None:
        for sent in self.process.sent:
            self.participants.crash_during(sent.call, arrived=arrived)
        self.process.crash()
        for sent in self.process.sent:  # of some nobody knows any more that they were answered
            self.participants.crash_during(sent.call, arrived=False)
