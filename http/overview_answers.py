"""What is answered about all sagas, all events and all participants at once."""

from __future__ import annotations

from ..fsm.machines import SagaStatus
from ..fsm.outcome import Outcome
from ..fsm.runtime.breaker import BreakerState
from .answers import Answer, EventAnswer


class FeedEventAnswer(EventAnswer):
    saga_id: str


class FeedAnswer(Answer):
    """Events of one saga are in order. `next` is for `after`, also when this page is empty."""

    events: list[FeedEventAnswer]
    next: str


class DurationAnswer(Answer):
    """From the start until the saga rested, in seconds."""

    p50: float
    p95: float


class SagaSampleAnswer(Answer):
    """Of those that rest: who rests otherwise than completed has failed."""

    rested: int
    failed: int
    failure_rate: float
    duration_seconds: DurationAnswer


class SagaTypeStatsAnswer(Answer):
    saga_type: str
    counts: dict[SagaStatus, int]
    lately: SagaSampleAnswer | None


class StepStatsAnswer(Answer):
    """How often each was recorded; `failure_rate` of those that came to an end."""

    saga_type: str
    step: str
    succeeded: int
    rejected: int
    unknown: int
    not_sent: int
    backed_off: int
    failure_rate: float | None
    compensated: int
    compensation_failed: int


class StatsAnswer(Answer):
    """`totals` and `counts` are of all sagas; the rest is a sample of the newest, after `since`."""

    totals: dict[SagaStatus, int]
    since: str
    sagas: list[SagaTypeStatsAnswer]
    steps: list[StepStatsAnswer]


class ParticipantAnswer(Answer):
    """Calls of this process: in flight, waiting for their turn, and answered since it began."""

    name: str
    url: str | None
    in_flight: int
    waiting: int
    outcomes: dict[Outcome, int]
    breaker: BreakerState


class ParticipantsAnswer(Answer):
    participants: list[ParticipantAnswer]
