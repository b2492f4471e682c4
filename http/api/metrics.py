"""Metrics for Prometheus: counters of this process since it started, and sagas not at rest.

Finished sagas are counted by their events; only running and parked sagas are read from the
database. Without the database the other metrics are still there: they are needed then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from ...fsm.runtime.calls.circuit_breaker import CircuitState
from ...fsm.runtime.calls.executor import Executor
from ...fsm.runtime.calls.participant_calls import DURATION_BUCKETS, ParticipantCalls
from ...fsm.runtime.completion_webhooks import PendingWebhooks
from ...fsm.runtime.metrics import EventMetrics
from ...projections.errors import ProjectionUnavailable
from ...projections.stats import SagaCount, Statistics

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
BUCKET_BOUNDS: Final = (*(f"{bound.total_seconds():g}" for bound in DURATION_BUCKETS), "+Inf")


async def render_metrics(
    statistics: Statistics, executor: Executor, counts: EventMetrics, owed: PendingWebhooks | None
) -> bytes:
    """Return the metrics in Prometheus' text format."""
    try:
        unsettled: Sequence[SagaCount] | None = await statistics.open_counts()
    except ProjectionUnavailable:
        unsettled = None
    registry = CollectorRegistry()
    registry.register(_Collector(unsettled, executor, counts, owed))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collector:
    def __init__(
        self,
        unsettled: Sequence[SagaCount] | None,
        executor: Executor,
        counts: EventMetrics,
        owed: PendingWebhooks | None,
    ) -> None:
        self.unsettled, self.executor, self.counts = unsettled, executor, counts
        self.owed = owed

    def collect(self) -> Iterator[Metric]:
        yield _events(self.counts)
        yield from _sagas(self.unsettled)
        yield from _calls(self.executor)
        yield _breakers(self.executor)
        yield from _callbacks(self.owed)


def _events(counts: EventMetrics) -> Metric:
    help_text = "Events recorded by this process."
    family = CounterMetricFamily("saga_events_recorded", help_text, labels=("saga_type", "type"))
    for (saga_type, kind), events in counts.events.items():
        family.add_metric((saga_type, kind), events)
    return family


def _sagas(unsettled: Sequence[SagaCount] | None) -> Iterator[Metric]:
    help_text = "1 if the status table can be read."
    yield GaugeMetricFamily("saga_status_view_up", help_text, value=float(unsettled is not None))
    help_text = "Running and parked sagas."
    family = GaugeMetricFamily("saga_unsettled", help_text, labels=("saga_type", "status"))
    for count in unsettled or ():
        family.add_metric((count.saga_type, count.status), count.sagas)
    yield family


def _calls(executor: Executor) -> Iterator[Metric]:
    labels = ("participant", "direction", "outcome")
    completed = CounterMetricFamily(
        "saga_calls", "Completed participant calls by outcome.", labels=labels
    )
    in_flight = GaugeMetricFamily("saga_calls_in_flight", "Calls in flight.", labels=labels[:1])
    waiting = GaugeMetricFamily(
        "saga_calls_waiting", "Calls queued behind the concurrency limit.", labels=labels[:1]
    )
    durations = HistogramMetricFamily(
        "saga_call_seconds", "Participant call latency in seconds.", labels=labels[:1]
    )
    for name, calls in executor.participant_calls.items():
        for (direction, outcome), number in calls.outcomes.items():
            completed.add_metric((name, direction.value, outcome.value), number)
        in_flight.add_metric((name,), calls.semaphore.acquired)
        waiting.add_metric((name,), calls.semaphore.waiting)
        durations.add_metric((name,), list(_buckets(calls)), calls.seconds)
    yield from (completed, in_flight, waiting, durations)


def _buckets(calls: ParticipantCalls) -> Iterator[tuple[str, float]]:
    """Yield the buckets, which are cumulative."""
    up_to = 0
    for limit, number in zip(BUCKET_BOUNDS, calls.durations, strict=True):
        up_to += number
        yield limit, up_to


def _breakers(executor: Executor) -> Metric:
    help_text = "1 while the circuit breaker holds calls to the participant back."
    family = GaugeMetricFamily("saga_participant_held_back", help_text, labels=("participant",))
    for name, breaker in executor.breakers.items():
        family.add_metric((name,), float(breaker.state is not CircuitState.CLOSED))
    return family


def _callbacks(owed: PendingWebhooks | None) -> Iterator[Metric]:
    help_text = "Undelivered completion webhooks."
    yield GaugeMetricFamily("saga_callbacks_owed", help_text, value=owed.number if owed else 0)
    help_text = "Age of the oldest undelivered completion webhook in seconds."
    seconds = owed.oldest_age.total_seconds() if owed else 0.0
    yield GaugeMetricFamily("saga_callbacks_owed_seconds", help_text, value=seconds)
