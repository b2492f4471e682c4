"""A model of participants that keep the contract, and know what the orchestrator cannot see.

They honour the idempotency key: an effect happens once, however often it is requested, and not at
all once it was compensated, by itself or with another step. How a participant behaves in one call
is drawn by the test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Self

from ..call_outcome import CallOutcome, Direction, OutputLoss
from ..definitions.definition import Completion, Definition
from ..inputs import StepCallback
from ..instructions import CallParticipant
from . import replies


class ParticipantBehavior(StrEnum):
    """The effect of one call at a participant, and what arrives of the response.

    DONE              it takes effect
    REJECTED          it is refused; after an effect only where a response was lost before
    BUSY              the participant is not ready; it may have taken effect already
    THROTTLED         it is turned away
    RESPONSE_LOST     it takes effect, and the response is lost
    REQUEST_LOST      it takes no effect, and the caller cannot know
    NOT_SENT          no byte of the request leaves
    TOO_LARGE         it takes effect, and the response cannot be used
    EMPTY             it takes effect, and the response has no body
    ACCEPTED          it will take effect, as a callback or a status query says; DONE elsewhere
    ACCEPTANCE_LOST   the same, and the response is lost; RESPONSE_LOST elsewhere
    """

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
    ACCEPTANCE_LOST = "acceptance_lost"


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
    ParticipantBehavior.ACCEPTANCE_LOST,
}
LOSES_THE_REPLY = {
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.REQUEST_LOST,
    ParticipantBehavior.ACCEPTANCE_LOST,
}
ACCEPTS = {ParticipantBehavior.ACCEPTED, ParticipantBehavior.ACCEPTANCE_LOST}
LEAVES_UNCERTAIN = {*LOSES_THE_REPLY, ParticipantBehavior.BUSY, ParticipantBehavior.ACCEPTED}
OUTCOMES = {
    ParticipantBehavior.DONE: replies.done({"id": "7"}),
    ParticipantBehavior.REJECTED: replies.REJECTED,
    ParticipantBehavior.BUSY: replies.BUSY,
    ParticipantBehavior.THROTTLED: replies.throttled(timedelta(seconds=3)),
    ParticipantBehavior.RESPONSE_LOST: replies.UNKNOWN,
    ParticipantBehavior.REQUEST_LOST: replies.UNKNOWN,
    ParticipantBehavior.NOT_SENT: replies.NOT_SENT,
    ParticipantBehavior.TOO_LARGE: replies.done_without_output(OutputLoss.TOO_LARGE),
    ParticipantBehavior.EMPTY: replies.DONE,
    ParticipantBehavior.ACCEPTED: replies.ACCEPTED,
    ParticipantBehavior.ACCEPTANCE_LOST: replies.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Effect:
    """An action or a compensation that really happened."""

    step: str
    direction: Direction


@dataclass
class ParticipantsModel:
    """All participants of one saga: their effects in order, and every call that they received.

    `polled_steps` are completed by polling; `undone_by` names the step whose compensation undoes
    another. Each callback is sent once, and no later reply
    contradicts it. `uncertain_steps` may have an unknown outcome, since a reply about them was lost
    or is still to come; `keys_with_lost_reply` are the keys of such calls. `refused_compensations`
    are the attempts whose latest reply was a refusal.
    """

    polled_steps: frozenset[str] = frozenset()
    undone_by: Mapping[str, str] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    received: list[CallParticipant] = field(default_factory=list)
    keys_with_lost_reply: set[str] = field(default_factory=set)
    uncertain_steps: set[str] = field(default_factory=set)
    accepted_steps: set[str] = field(default_factory=set)
    callbacks: dict[str, StepCallback] = field(default_factory=dict)
    refused_compensations: set[tuple[str, int]] = field(default_factory=set)  # step and attempt

    @classmethod
    def of(cls, definition: Definition) -> Self:
        """Return the participants that a definition calls."""
        polled = (step.name for step in definition.steps if step.completion is Completion.POLL)
        implied = ((step.name, by) for step, by in definition.implied_compensations)
        return cls(polled_steps=frozenset(polled), undone_by=dict(implied))

    def answer(self, call: CallParticipant, behavior: ParticipantBehavior) -> CallOutcome:
        """Return the outcome of `call`; DONE instead of a refusal that would be a lie."""
        self.received.append(call)
        if call.direction is Direction.STATUS:
            return self._answer_status(call, behavior)
        behavior = self._honest_behavior(call, behavior)
        if behavior in TAKES_EFFECT:
            self._apply(call)
        if behavior in LOSES_THE_REPLY:
            self.keys_with_lost_reply.add(call.key)
        if behavior in LEAVES_UNCERTAIN:
            self.uncertain_steps.add(call.step)
        if behavior in ACCEPTS and not self.has_done(call.step):
            self.accepted_steps.add(call.step)
        if call.direction is Direction.COMPENSATION:
            self._note_refusal(call, refused=behavior is ParticipantBehavior.REJECTED)
        return OUTCOMES[behavior]

    def callback_candidates(self, in_flight: Iterable[CallParticipant]) -> list[str]:
        """Return the steps that are called or accepted, and have sent no callback yet."""
        called = {call.step for call in in_flight if call.awaits_callback}
        waiting = self.accepted_steps - self.polled_steps
        return sorted((called | waiting) - self.callbacks.keys())

    def send_callback(self, step: str, *, done: bool) -> StepCallback:
        """Return the callback of a step: what was accepted takes effect now, or never."""
        self.accepted_steps.discard(step)
        if done or self.has_done(step):
            self._apply_to(step, Direction.ACTION)
            callback = replies.callback_done(step, {"id": "7"})
        else:
            callback = replies.callback_failed(step)
        self.callbacks[step] = callback
        return callback

    def crash_during(self, call: CallParticipant, *, arrived: bool) -> None:
        """Let the caller die before it gets the response; the call may have arrived or not."""
        if arrived:
            self.received.append(call)
        if call.direction is Direction.STATUS:
            return
        self.keys_with_lost_reply.add(call.key)
        self.uncertain_steps.add(call.step)
        if arrived:
            self._apply(call)

    def undo_by_hand(self, step: str) -> None:
        """Undo a step as an operator does: its participant never does it again."""
        self._apply_to(step, Direction.COMPENSATION)

    def has_happened(self, call: CallParticipant) -> bool:
        return Effect(call.step, call.direction) in self.effects

    def has_done(self, step: str) -> bool:
        return Effect(step, Direction.ACTION) in self.effects

    def has_compensated(self, step: str) -> bool:
        return Effect(step, Direction.COMPENSATION) in self.effects

    def _note_refusal(self, call: CallParticipant, *, refused: bool) -> None:
        """Keep the latest reply to an attempt: a crash can have taken the one before."""
        attempt = call.step, call.attempt
        if refused:
            self.refused_compensations.add(attempt)
        else:
            self.refused_compensations.discard(attempt)

    def _honest_behavior(
        self, call: CallParticipant, behavior: ParticipantBehavior
    ) -> ParticipantBehavior:
        forward = call.direction is Direction.ACTION
        if forward and call.step in self.callbacks:
            uncertain = behavior in INCONCLUSIVE
            return ParticipantBehavior.REQUEST_LOST if uncertain else ParticipantBehavior.ACCEPTED
        if behavior in ACCEPTS:
            accepts = call.awaits_callback or (forward and call.step in self.polled_steps)
            lost = behavior in LOSES_THE_REPLY
            other = ParticipantBehavior.RESPONSE_LOST if lost else ParticipantBehavior.DONE
            return behavior if accepts else other
        known = self.has_happened(call) and call.key not in self.keys_with_lost_reply
        if behavior is ParticipantBehavior.REJECTED and known:
            return ParticipantBehavior.DONE
        return behavior

    def _answer_status(self, call: CallParticipant, behavior: ParticipantBehavior) -> CallOutcome:
        """Answer a status query with the truth, or inconclusively."""
        if behavior in INCONCLUSIVE:
            return OUTCOMES[behavior]
        if call.step in self.accepted_steps and behavior is not ParticipantBehavior.REJECTED:
            self._apply(call)
        if self.has_done(call.step):
            return OUTCOMES[ParticipantBehavior.DONE]
        self.accepted_steps.discard(call.step)
        self.keys_with_lost_reply.discard(call.key)  # now it is certain that nothing was lost
        return replies.NOT_DONE

    def _apply(self, call: CallParticipant) -> None:
        forward = call.direction is not Direction.COMPENSATION
        if not (forward and call.step in self.callbacks):
            self._apply_to(call.step, Direction.ACTION if forward else call.direction)

    def _apply_to(self, step: str, direction: Direction) -> None:
        undoers = {step, self.undone_by.get(step, step)}
        compensated = any(self.has_compensated(undoer) for undoer in undoers)
        self.accepted_steps.discard(step)
        if Effect(step, direction) in self.effects:
            return
        if direction is Direction.COMPENSATION or not compensated:
            self.effects.append(Effect(step, direction))
