"""What has, or may have, taken effect, as the events alone tell it (R3).

It asks neither `decide` nor the folded state, so that it can find both of them wrong.
"""

from __future__ import annotations

from ..definition import Definition
from ..events import (
    CallbackReceived,
    CompensationCovered,
    CompensationSucceeded,
    Event,
    Resolution,
    StepBackedOff,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
)
from ..outcome import Outcome

UNDOES = (CompensationSucceeded, CompensationCovered)


class Stakes:
    """`done` and `skipped` are as they were told; `undone` by a call, or by a person."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.done: set[str] = set()
        self.skipped: set[str] = set()
        self.undone: set[str] = set()
        self.vouched: set[str] = set()  # done or undone on the word of a person
        self._possible: set[str] = set()
        self._doubted: set[str] = set()

    @property
    def possible(self) -> set[str]:
        """The steps whose effect may be there or have been there; a rejected one that asks for it
        is one of them."""
        return {step for step in self._possible if self.definition[step].has_effect}

    @property
    def standing(self) -> set[str]:
        """Those that would have to be undone to go back."""
        return self.possible - self.undone

    @property
    def not_done(self) -> tuple[str, ...]:
        settled = self.done | self.skipped
        names = (step.name for step in self.definition.steps)
        return tuple(name for name in names if name not in settled)

    def see(self, event: Event) -> None:  # noqa: C901 - a table, one line of thought an event
        match event:
            case StepSucceeded(step=step):
                self.done.add(step)
                self._possible.add(step)
            case StepUnknown(step=step):
                self._possible.add(step)
                self._doubted.add(step)
            case StepRejected(step=step) if self.definition[step].child is not None:
                self.done.discard(step)  # it was undone, also where it had been done before
                self._deny(step)
            case StepRejected(step=step):
                if self._may_have_happened(event):
                    self._possible.add(step)
            case StepBackedOff(step=step) if event.resent or event.outcome is Outcome.UNKNOWN:
                self._doubted.add(step)
            case CallbackReceived(step=step, done=True):
                self._doubted.add(step)
            case StepFoundNotDone(step=step) | StepNotSent(step=step):
                self._deny(step)
            case StepSkipped(step=step):
                self.skipped.add(step)
            case StepResolved():
                self._believe(event)
            case _ if isinstance(event, UNDOES):
                self.undone.add(event.step)

    def _may_have_happened(self, rejected: StepRejected) -> bool:
        step = rejected.step
        asks = self.definition[step].compensate_on_reject
        return asks or rejected.resent or step in self._doubted

    def _deny(self, step: str) -> None:
        self._possible.discard(step)
        self._doubted.discard(step)

    def _believe(self, resolved: StepResolved) -> None:
        self.vouched.add(resolved.step)
        match resolved.verdict:
            case Resolution.DONE:
                self.done.add(resolved.step)
                self._possible.add(resolved.step)
            case Resolution.NOT_DONE:
                self._deny(resolved.step)
            case Resolution.UNDONE:
                self.undone.add(resolved.step)
