"""Participants that keep the contract, and know the truth that the orchestrator cannot see.

They honour the idempotency key: an effect happens once, however often it is asked for, and not at
all once it was undone. What they answer, and whether the answer arrives, is their fate:

    DONE          the effect is there
    REJECTED      refused; of what is there already, only where an answer was lost before
    BUSY          not ready; it may be there already
    THROTTLED     turned away at the door
    LOST          it happened, and nobody heard
    LOST_BEFORE   it did not happen, and nobody knows
    NOT_SENT      it never arrived
    TOO_LARGE     it happened, and the reply cannot be used
    EMPTY         it happened, and the reply says nothing
    ACCEPTED      it will be done, as a callback or polling will tell; where neither can, it is done
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from ..call_outcome import CallOutcome, Direction, OutputLoss
from ..inputs import StepCallback
from ..instructions import CallParticipant
from . import replies as answers


class ParticipantBehavior(StrEnum):
    DONE = "done"
    REJECTED = "rejected"
    BUSY = "busy"
    THROTTLED = "throttled"
    RESPONSE_LOST = "lost"
    REQUEST_LOST = "lost_before"
    NOT_SENT = "not_sent"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    ACCEPTED = "accepted"


TAKES_EFFECT = {
    ParticipantBehavior.DONE,
    ParticipantBehavior.BUSY,
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.TOO_LARGE,
    ParticipantBehavior.EMPTY,
}
INCONCLUSIVE = {
    ParticipantBehavior.BUSY,
    ParticipantBehavior.THROTTLED,
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.REQUEST_LOST,
    ParticipantBehavior.NOT_SENT,
}
VERDICTS = {
    ParticipantBehavior.DONE: answers.done({"id": "7"}),
    ParticipantBehavior.REJECTED: answers.REJECTED,
    ParticipantBehavior.BUSY: answers.BUSY,
    ParticipantBehavior.THROTTLED: answers.throttled(timedelta(seconds=3)),
    ParticipantBehavior.RESPONSE_LOST: answers.UNKNOWN,
    ParticipantBehavior.REQUEST_LOST: answers.UNKNOWN,
    ParticipantBehavior.NOT_SENT: answers.NOT_SENT,
    ParticipantBehavior.TOO_LARGE: answers.done_without_output(OutputLoss.TOO_LARGE),
    ParticipantBehavior.EMPTY: answers.DONE,
    ParticipantBehavior.ACCEPTED: answers.ACCEPTED,
}


@dataclass(frozen=True, slots=True)
class Effect:
    step: str
    direction: Direction


@dataclass
class ParticipantsModel:
    """`effects` in the order in which they really happened; `received` every call that came.

    `polled` are the steps that are completed by polling. Each callback is sent once, and whoever
    was told of a step by a callback is told nothing else in a reply.
    """

    polled_steps: frozenset[str] = frozenset()
    effects: list[Effect] = field(default_factory=list)
    received: list[CallParticipant] = field(default_factory=list)
    keys_with_lost_reply: set[str] = field(
        default_factory=set
    )  # keys of which an answer may have been lost
    uncertain_steps: set[str] = field(default_factory=set)  # steps whose outcome may be unknown
    accepted_steps: set[str] = field(default_factory=set)  # steps that may still be done
    callbacks: dict[str, StepCallback] = field(default_factory=dict)
    refused_compensations: set[tuple[str, int]] = field(default_factory=set)  # with their attempts

    def answer(self, call: CallParticipant, fate: ParticipantBehavior) -> CallOutcome:
        """What becomes of `call`; DONE instead of a refusal that no honest participant gives."""
        if call.direction is Direction.STATUS:
            self.received.append(call)
            return self._answer_status(call, fate)
        fate = self._honest_behavior(call, fate)
        self.received.append(call)
        if fate in TAKES_EFFECT:
            self._apply(call)
        if fate in (ParticipantBehavior.RESPONSE_LOST, ParticipantBehavior.REQUEST_LOST):
            self.keys_with_lost_reply.add(call.key)
        if fate in (
            ParticipantBehavior.RESPONSE_LOST,
            ParticipantBehavior.REQUEST_LOST,
            ParticipantBehavior.BUSY,
            ParticipantBehavior.ACCEPTED,
        ):
            self.uncertain_steps.add(call.step)
        if fate is ParticipantBehavior.ACCEPTED:
            self.accepted_steps.add(call.step)
        if fate is ParticipantBehavior.REJECTED and call.direction is Direction.COMPENSATION:
            self.refused_compensations.add((call.step, call.attempt))
        return VERDICTS[fate]

    def callback_candidates(self, out: Iterable[CallParticipant]) -> list[str]:
        """The steps that are called or were accepted, and of which no callback has told yet."""
        called = {call.step for call in out if call.awaits_callback}
        waiting = self.accepted_steps - self.polled_steps
        return sorted((called | waiting) - self.callbacks.keys())

    def send_callback(self, step: str, *, done: bool) -> StepCallback:
        """The callback of a step that was called: what was accepted is done now, or never."""
        self.accepted_steps.discard(step)
        done = done or self.has_done(step)
        if done:
            self._apply_to(step, Direction.ACTION)
        told = answers.callback_done(step, {"id": "7"}) if done else answers.callback_failed(step)
        self.callbacks[step] = told
        return told

    def _honest_behavior(
        self, call: CallParticipant, fate: ParticipantBehavior
    ) -> ParticipantBehavior:
        forward = call.direction is Direction.ACTION
        if forward and call.step in self.callbacks:
            return (
                ParticipantBehavior.REQUEST_LOST
                if fate in INCONCLUSIVE
                else ParticipantBehavior.ACCEPTED
            )
        accepts = call.awaits_callback or (forward and call.step in self.polled_steps)
        if fate is ParticipantBehavior.ACCEPTED and not accepts:
            return ParticipantBehavior.DONE
        if (
            fate is ParticipantBehavior.REJECTED
            and self.has_happened(call)
            and call.key not in self.keys_with_lost_reply
        ):
            return ParticipantBehavior.DONE
        return fate

    def _answer_status(self, call: CallParticipant, fate: ParticipantBehavior) -> CallOutcome:
        """A question is answered with the truth, or not clearly."""
        if fate in INCONCLUSIVE:
            return VERDICTS[fate]
        if call.step in self.accepted_steps and fate is not ParticipantBehavior.REJECTED:
            self._apply(call)
        if self.has_done(call.step):
            return VERDICTS[ParticipantBehavior.DONE]
        self.accepted_steps.discard(call.step)
        self.keys_with_lost_reply.discard(call.key)  # now it is certain that nothing was lost
        return answers.NOT_DONE

    def crash_during(self, call: CallParticipant, *, arrived: bool) -> None:
        """Whoever called dies before the answer; the call may have left or not."""
        if arrived:
            self.received.append(call)
        if call.direction is Direction.STATUS:
            return
        self.keys_with_lost_reply.add(call.key)
        self.uncertain_steps.add(call.step)
        if arrived:
            self._apply(call)

    def has_happened(self, call: CallParticipant) -> bool:
        return Effect(call.step, call.direction) in self.effects

    def has_done(self, step: str) -> bool:
        return Effect(step, Direction.ACTION) in self.effects

    def has_compensated(self, step: str) -> bool:
        return Effect(step, Direction.COMPENSATION) in self.effects

    def _apply(self, call: CallParticipant) -> None:
        forward = call.direction is not Direction.COMPENSATION
        if not (forward and call.step in self.callbacks):
            self._apply_to(call.step, Direction.ACTION if forward else call.direction)

    def _apply_to(self, step: str, direction: Direction) -> None:
        undone_before = direction is Direction.ACTION and self.has_compensated(step)
        self.accepted_steps.discard(step)
        if Effect(step, direction) not in self.effects and not undone_before:
            self.effects.append(Effect(step, direction))
