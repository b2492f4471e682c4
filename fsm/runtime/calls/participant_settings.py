"""Per-participant call settings, and the participants whose URL is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ...call_outcome import Outcome, Profile
from ...definitions.definition import Definition
from ...definitions.participant_url import how_to_set_url
from ...machines import StepStatus
from ...saga import Saga


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantSettings:
    """Call settings of one participant; None stands for the service-wide setting.

    `headers` are sent with every call. Their values are secrets and never shown.
    """

    profile: Profile = Profile.HTTP
    calls_at_a_time: int | None = None
    connect_timeout: timedelta | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


DEFAULTS = ParticipantSettings()


NONE: Final[frozenset[str]] = frozenset()
BACKING_OFF: Final = (StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF)


def missing_url_message(participant: str) -> str:
    """Return why a participant cannot be called, and which setting to change."""
    return f"no URL is known for participant {participant}: {how_to_set_url(participant)}"


class MissingUrls:
    """Participants without a URL, and the sagas whose calls wait for one."""

    def __init__(self, addressed: Collection[str] | None) -> None:
        self._addressed = None if addressed is None else frozenset(addressed)
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)

    def participants_of(self, definition: Definition) -> frozenset[str]:
        """Return the participants of a definition that have no URL."""
        return NONE if self._addressed is None else definition.participants - self._addressed

    def update(self, saga: Saga) -> None:
        """Record whether calls of the saga, in its current state, wait for a URL."""
        names = self.participants_of(saga.definition)
        waited_for = names and {
            step.participant
            for step, state in saga.steps
            if state.last_outcome is Outcome.CIRCUIT_OPEN and state.status in BACKING_OFF
        }
        for name in names:
            if name in waited_for and not saga.state.status.is_at_rest:
                self._waiting[name].add(saga.state.saga_id)
            else:
                self._waiting[name].discard(saga.state.saga_id)

    def waiting_sagas(self, is_ours: Callable[[str], bool]) -> Mapping[str, int]:
        """Return the number of waiting sagas by participant; only sagas that are `is_ours`."""
        for name, saga_ids in self._waiting.items():
            self._waiting[name] = {saga_id for saga_id in saga_ids if is_ours(saga_id)}
        return {name: len(saga_ids) for name, saga_ids in self._waiting.items() if saga_ids}
