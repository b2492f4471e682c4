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
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from ..command import CallParticipant
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
}


@dataclass(frozen=True, slots=True)
class Effect:
    step: str
    direction: Direction


@dataclass
class ParticipantsModel:
    """`effects` in the order in which they really happened; `received` every call that came."""

    effects: list[Effect] = field(default_factory=list)
    received: list[CallParticipant] = field(default_factory=list)
    unheard: set[str] = field(default_factory=set)  # keys of which an answer may have been lost

    def answer(self, call: CallParticipant, fate: Fate) -> Verdict:
        """What becomes of `call`; DONE instead of a refusal that no honest participant gives."""
        if call.direction is Direction.STATUS:
            self.received.append(call)
            return self._tell(call, fate)
        if fate is Fate.REJECTED and self.happened(call) and call.key not in self.unheard:
            fate = Fate.DONE
        self.received.append(call)
        if fate in REACHES:
            self._apply(call)
        if fate in (Fate.LOST, Fate.LOST_BEFORE):
            self.unheard.add(call.key)
        return VERDICTS[fate]

    def _tell(self, call: CallParticipant, fate: Fate) -> Verdict:
        """A question is answered with the truth, or not clearly."""
        if fate in UNCLEAR:
            return VERDICTS[fate]
        if self.has_done(call.step):
            return VERDICTS[Fate.DONE]
        self.unheard.discard(call.key)  # now it is certain that nothing was lost
        return answers.NOT_DONE

    def crash_during(self, call: CallParticipant, *, arrived: bool) -> None:
        """Whoever called dies before the answer; the call may have left or not."""
        if arrived:
            self.received.append(call)
        if call.direction is Direction.STATUS:
            return
        self.unheard.add(call.key)
        if arrived:
            self._apply(call)

    def happened(self, call: CallParticipant) -> bool:
        return Effect(call.step, call.direction) in self.effects

    def has_done(self, step: str) -> bool:
        return Effect(step, Direction.ACTION) in self.effects

    def has_undone(self, step: str) -> bool:
        return Effect(step, Direction.COMPENSATION) in self.effects

    def _apply(self, call: CallParticipant) -> None:
        undone_before = call.direction is Direction.ACTION and self.has_undone(call.step)
        if not self.happened(call) and not undone_before:
            self.effects.append(Effect(call.step, call.direction))
