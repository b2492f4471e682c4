"""Statistics: numbers of sagas, durations, and failure rates of sagas and steps.

Numbers are those of all sagas in the status table. Durations and failure rates come from a sample
whose size is bounded however long the log is: the newest sagas, and the newest events of each
shard, of the last 24 hours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar

from ..eventstore import SHARD_COUNT, LogUnavailable
from ..eventstore.postgres import ReaderPool
from ..fsm.codec import format_time
from ..fsm.formats.numbers import to_decimal
from ..fsm.formats.strict_json import Json
from ..fsm.machines import SagaStatus
from .errors import ProjectionUnavailable

SAMPLE_PERIOD = timedelta(hours=24)
MAX_SAMPLED_SAGAS = 100_000
MAX_SAMPLED_EVENTS_PER_SHARD = 1000  # of each shard
OPEN_STATUSES = (
    SagaStatus.PENDING,
    SagaStatus.RUNNING,
    SagaStatus.COMPENSATING,
    SagaStatus.PARKED,
)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class SagaCount:
    saga_type: str
    status: str
    sagas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaSample:
    """Sampled sagas at rest. `failed` counts those that rest otherwise than completed."""

    saga_type: str
    rested: int
    failed: int
    p50_seconds: float
    p95_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSample:
    """Sampled events of a step. An attempt that backed off is not the end of a step."""

    saga_type: str
    step: str
    succeeded: int
    rejected: int
    unknown: int
    not_sent: int
    backed_off: int
    compensated: int
    compensation_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    since: datetime
    counts: Sequence[SagaCount]
    sagas: Sequence[SagaSample]
    steps: Sequence[StepSample]


class Statistics(Protocol):
    """Statistics of all sagas. Every method raises ProjectionUnavailable."""

    async def stats(self, now: datetime) -> Stats:
        """Return the statistics as of `now`."""

    async def open_counts(self) -> Sequence[SagaCount]:
        """Count the sagas that are in progress or parked: few, however many have ended."""


class StatusTableStatistics:
    """Implements Statistics."""

    def __init__(self, readers: ReaderPool, refresh: Callable[[], Awaitable[None]]) -> None:
        """`refresh` waits until the status table covers all events recorded so far."""
        self._readers, self._refresh = readers, refresh

    async def stats(self, now: datetime) -> Stats:
        await self._refresh()
        since = now - SAMPLE_PERIOD
        sagas = {"since": since, "newest": MAX_SAMPLED_SAGAS}
        steps = {
            "since": since,
            "newest": MAX_SAMPLED_EVENTS_PER_SHARD,
            "shard_id": list(range(SHARD_COUNT)),
        }
        return Stats(
            since=since,
            counts=await self._fetch(SagaCount, "count_sagas", {"statuses": None}),
            sagas=await self._fetch(SagaSample, "sample_sagas", sagas),
            steps=await self._fetch(StepSample, "sample_steps", steps),
        )

    async def open_counts(self) -> Sequence[SagaCount]:
        statuses = [status.value for status in OPEN_STATUSES]
        return await self._fetch(SagaCount, "count_sagas", {"statuses": statuses})

    async def _fetch(
        self, row: type[Row], name: str, parameters: dict[str, object]
    ) -> Sequence[Row]:
        try:
            return await self._readers.fetch(row, name, parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error


def stats_view(stats: Stats) -> dict[str, Json]:
    """Return the body of `GET /stats`."""
    totals: Counter[str] = Counter()
    for count in stats.counts:
        totals[count.status] += count.sagas
    return {
        "totals": {status.value: totals[status] for status in SagaStatus},
        "since": format_time(stats.since),
        "sagas": [
            _type_view(saga_type, stats)
            for saga_type in sorted({count.saga_type for count in stats.counts})
        ],
        "steps": [_step_view(sample) for sample in stats.steps],
    }


def _type_view(saga_type: str, stats: Stats) -> Json:
    counts = {c.status: c.sagas for c in stats.counts if c.saga_type == saga_type}
    sample = next((s for s in stats.sagas if s.saga_type == saga_type), None)
    return {
        "saga_type": saga_type,
        "counts": {status.value: counts.get(status, 0) for status in SagaStatus},
        "lately": None if sample is None else _sample_view(sample),
    }


def _sample_view(sample: SagaSample) -> Json:
    return {
        "rested": sample.rested,
        "failed": sample.failed,
        "failure_rate": _rate(sample.failed, sample.rested),
        "duration_seconds": {
            "p50": to_decimal(round(sample.p50_seconds, 3)),
            "p95": to_decimal(round(sample.p95_seconds, 3)),
        },
    }


def _step_view(sample: StepSample) -> Json:
    failed = sample.rejected + sample.unknown + sample.not_sent
    return {
        "saga_type": sample.saga_type,
        "step": sample.step,
        "succeeded": sample.succeeded,
        "rejected": sample.rejected,
        "unknown": sample.unknown,
        "not_sent": sample.not_sent,
        "backed_off": sample.backed_off,
        "failure_rate": _rate(failed, failed + sample.succeeded),
        "compensated": sample.compensated,
        "compensation_failed": sample.compensation_failed,
    }


def _rate(part: int, total: int) -> Decimal | None:
    return to_decimal(round(part / total, 4)) if total else None
