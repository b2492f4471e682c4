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

from ..command import CallParticipant
from ..happening import StepReported
from ..outcome import Direction, OutputLoss, Verdict
from . import answers


class Fate(StrEnum):
    DONE = "done"
    REJECTED = "rejected"
    BUSY = "busy"
    THROTTLED = "throttled"
    LOST = "lost"
    LOST_BEFORE = "lost_before"
    NOT_SENT = "not_sent"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    ACCEPTED = "accepted"


REACHES = {Fate.DONE, Fate.BUSY, Fate.LOST, Fate.TOO_LARGE, Fate.EMPTY}
UNCLEAR = {Fate.BUSY, Fate.THROTTLED, Fate.LOST, Fate.LOST_BEFORE, Fate.NOT_SENT}
VERDICTS = {
    Fate.DONE: answers.done({"id": "7"}),
    Fate.REJECTED: answers.REJECTED,
    Fate.BUSY: answers.BUSY,
    Fate.THROTTLED: answers.throttled(timedelta(seconds=3)),
    Fate.LOST: answers.UNKNOWN,
    Fate.LOST_BEFORE: answers.UNKNOWN,
    Fate.NOT_SENT: answers.NOT_SENT,
    Fate.TOO_LARGE: answers.done_without_output(OutputLoss.TOO_LARGE),
    Fate.EMPTY: answers.DONE,
    Fate.ACCEPTED: answers.ACCEPTED,
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

    polled: frozenset[str] = frozenset()
    effects: list[Effect] = field(default_factory=list)
    received: list[CallParticipant] = field(default_factory=list)
    unheard: set[str] = field(default_factory=set)  # keys of which an answer may have been lost
    unclear: set[str] = field(default_factory=set)  # steps whose outcome may be unknown
    accepted: set[str] = field(default_factory=set)  # steps that may still be done
    reported: dict[str, StepReported] = field(default_factory=dict)

    def answer(self, call: CallParticipant, fate: Fate) -> Verdict:
        """What becomes of `call`; DONE instead of a refusal that no honest participant gives."""
        if call.direction is Direction.STATUS:
            self.received.append(call)
            return self._tell(call, fate)
        fate = self._honest(call, fate)
        self.received.append(call)
        if fate in REACHES:
            self._apply(call)
        if fate in (Fate.LOST, Fate.LOST_BEFORE):
            self.unheard.add(call.key)
        if fate in (Fate.LOST, Fate.LOST_BEFORE, Fate.BUSY, Fate.ACCEPTED):
            self.unclear.add(call.step)
        if fate is Fate.ACCEPTED:
            self.accepted.add(call.step)
        return VERDICTS[fate]

    def reportable(self, out: Iterable[CallParticipant]) -> list[str]:
        """The steps that are called or were accepted, and of which no callback has told yet."""
        called = {call.step for call in out if call.awaits_callback}
        waiting = self.accepted - self.polled
        return sorted((called | waiting) - self.reported.keys())

    def report(self, step: str, *, done: bool) -> StepReported:
        """The callback of a step that was called: what was accepted is done now, or never."""
        self.accepted.discard(step)
        done = done or self.has_done(step)
        if done:
            self._apply_to(step, Direction.ACTION)
        told = answers.completed(step, {"id": "7"}) if done else answers.failed(step)
        self.reported[step] = told
        return told

    def _honest(self, call: CallParticipant, fate: Fate) -> Fate:
        forward = call.direction is Direction.ACTION
        if forward and call.step in self.reported:
            return Fate.LOST_BEFORE if fate in UNCLEAR else Fate.ACCEPTED
        accepts = call.awaits_callback or (forward and call.step in self.polled)
        if fate is Fate.ACCEPTED and not accepts:
            return Fate.DONE
        if fate is Fate.REJECTED and self.happened(call) and call.key not in self.unheard:
            return Fate.DONE
        return fate

    def _tell(self, call: CallParticipant, fate: Fate) -> Verdict:
        """A question is answered with the truth, or not clearly."""
        if fate in UNCLEAR:
            return VERDICTS[fate]
        if call.step in self.accepted and fate is not Fate.REJECTED:
            self._apply(call)
        if self.has_done(call.step):
            return VERDICTS[Fate.DONE]
        self.accepted.discard(call.step)
        self.unheard.discard(call.key)  # now it is certain that nothing was lost
        return answers.NOT_DONE

    def crash_during(self, call: CallParticipant, *, arrived: bool) -> None:
        """Whoever called dies before the answer; the call may have left or not."""
        if arrived:
            self.received.append(call)
        if call.direction is Direction.STATUS:
            return
        self.unheard.add(call.key)
        self.unclear.add(call.step)
        if arrived:
            self._apply(call)

    def happened(self, call: CallParticipant) -> bool:
        return Effect(call.step, call.direction) in self.effects

    def has_done(self, step: str) -> bool:
        return Effect(step, Direction.ACTION) in self.effects

    def has_undone(self, step: str) -> bool:
        return Effect(step, Direction.COMPENSATION) in self.effects

    def _apply(self, call: CallParticipant) -> None:
        forward = call.direction is not Direction.COMPENSATION
        if not (forward and call.step in self.reported):
            self._apply_to(call.step, Direction.ACTION if forward else call.direction)

    def _apply_to(self, step: str, direction: Direction) -> None:
        undone_before = direction is Direction.ACTION and self.has_undone(step)
        self.accepted.discard(step)
        if Effect(step, direction) not in self.effects and not undone_before:
            self.effects.append(Effect(step, direction))
