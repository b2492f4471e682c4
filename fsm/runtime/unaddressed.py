"""Participants whose URL is not known: their calls wait until the service is started with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Final

from ..address import how_to_address
from ..definition import Definition
from ..machines import StepStatus
from ..outcome import Outcome
from ..saga import Saga

NONE: Final[frozenset[str]] = frozenset()
WAITS: Final = (StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF)


def without_url(participant: str) -> str:
    """Say that a participant cannot be called, and what to change."""
    return f"no URL is known for participant {participant}: {how_to_address(participant)}"


class Unaddressed:
    """The participants without a URL, and the sagas whose calls wait for one."""

    def __init__(self, addressed: Collection[str] | None) -> None:
        self._addressed = None if addressed is None else frozenset(addressed)
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)

    def of(self, definition: Definition) -> frozenset[str]:
        """Return the participants of a definition that have no URL."""
        return NONE if self._addressed is None else definition.participants - self._addressed

    def note(self, saga: Saga) -> None:
        """Remember whether calls of the saga, as it is now, wait for a URL."""
        names = self.of(saga.definition)
        waited_for = names and {
            step.participant
            for step, state in saga.steps
            if state.last_outcome is Outcome.HELD and state.status in WAITS
        }
        for name in names:
            if name in waited_for and not saga.state.status.rests:
                self._waiting[name].add(saga.state.saga_id)
            else:
                self._waiting[name].discard(saga.state.saga_id)

    def waited_for(self, is_ours: Callable[[str], bool]) -> Mapping[str, int]:
        """Return how many of our sagas wait for each of them, without those of other nodes."""
        for name, saga_ids in self._waiting.items():
            self._waiting[name] = {one for one in saga_ids if is_ours(one)}
        return {name: len(saga_ids) for name, saga_ids in self._waiting.items() if saga_ids}
