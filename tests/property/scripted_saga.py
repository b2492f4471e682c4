"""A saga driven by a script of words: behaviors of its participants, and other inputs.

A word is the behavior in the call in flight, or in the next call if the saga waits for a time; or
it is one of those below. A word that is not possible at its turn is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final

from saga_orchestrator.fsm.decider.decide import allowed_actions
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.errors import WouldParkAgain
from saga_orchestrator.fsm.events import Resolution
from saga_orchestrator.fsm.inputs import (
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    StartSaga,
    TimerFired,
)
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.machines import StepStatus
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
    violated_invariants,
)

COMPENSATE, RETRY, PAUSE, RESUME = "compensate", "retry", "pause", "resume"
DEADLINE = "the deadline passes"
DEADLINE_IN_CALL = "the deadline passes before the reply"
RESOLVE = "an operator says what has happened"
CRASHES = ["a crash before it arrives", "a crash after it arrived"]
CALLBACKS = ["a callback says no", "a callback says done"]
VERBS: Final[dict[str, OperatorCommand]] = {
    COMPENSATE: Compensate(),
    RETRY: Retry(),
    PAUSE: Pause(),
    RESUME: Resume(),
}
MAX_TURNS_TO_REST = 40


class ScriptedSaga:
    """A simulated saga; the invariants are checked after each word."""

    def __init__(self, definition: Definition) -> None:
        request = StartSaga(entity_id="order-1", input={})
        self.process = SimulatedProcess(definition, SAGA_ID, request, now=NOON)
        self.participants = ParticipantsModel.of(definition)
        self.now: datetime = NOON

    @property
    def status(self) -> str:
        return self.process.saga.state.status

    @property
    def is_at_rest(self) -> bool:
        return self.process.saga.state.status.is_at_rest

    def play(self, words: Iterable[str]) -> None:
        for word in words:
            self.apply(word)
            self.all_invariants_hold()

    def come_to_rest(self) -> None:
        """Let every call succeed from now on, until the saga rests."""
        self.apply(RESUME)
        for _ in range(MAX_TURNS_TO_REST):
            if not self.is_at_rest:
                self.apply(ParticipantBehavior.DONE)
        self.all_invariants_hold()
        assert self.is_at_rest, f"still {self.status}"

    def all_invariants_hold(self) -> None:
        assert violated_invariants(self.process, self.participants) == []

    def apply(self, word: str) -> None:
        if word in VERBS:
            self._command(word)
        elif word == RESOLVE:
            self._resolve()
        elif word == DEADLINE:
            self._wake(self.process.saga.state.deadline)
        elif word == DEADLINE_IN_CALL:
            self._await_call()
            if self.process.in_flight:
                self.now = max(self.now, self.process.saga.state.deadline or self.now)
        elif word in CALLBACKS:
            self._call_back(done=word == CALLBACKS[1])
        elif word in CRASHES:
            self._crash(arrived=word == CRASHES[1])
        else:
            self._answer(word)

    def _command(self, verb: str) -> None:
        if verb in allowed_actions(self.process.saga):
            with suppress(WouldParkAgain):  # it is allowed for one step alone
                self.process.handle(VERBS[verb], now=self.now)

    def _resolve(self) -> None:
        """Resolve the first unknown step, truthfully."""
        for step in self.process.saga.steps_in(StepStatus.UNKNOWN)[:1]:
            if "resolve" in allowed_actions(self.process.saga):
                self.participants.accepted_steps.discard(step.name)
                done = self.participants.has_done(step.name)
                resolution = Resolution.DONE if done else Resolution.NOT_DONE
                asked = ResolveStep(step=step.name, verdict=resolution, evidence="seen")
                self.process.handle(asked, now=self.now)

    def _wake(self, at: datetime | None) -> None:
        if at is not None:
            self.now = max(self.now, at)
            self.process.handle(TimerFired(), now=self.now)

    def _call_back(self, *, done: bool) -> None:
        calls = (sent.call for sent in self.process.in_flight)
        for step in self.participants.callback_candidates(calls):
            self.process.handle(self.participants.send_callback(step, done=done), now=self.now)

    def _await_call(self) -> None:
        if not self.process.in_flight:
            self._wake(next_wakeup(self.process.saga))

    def _answer(self, behavior: str) -> None:
        self._await_call()
        if not self.process.in_flight:
            return
        sent = self.process.in_flight[0]
        outcome = self.participants.answer(sent.call, ParticipantBehavior(behavior))
        self.process.receive(sent, outcome, now=self.now)

    def _crash(self, *, arrived: bool) -> None:
        for sent in self.process.in_flight:
            self.participants.crash_during(sent.call, arrived=arrived)
        self.process.crash()
        for sent in self.process.in_flight:  # the log lacks the answers to some
            self.participants.crash_during(sent.call, arrived=False)
