from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families
from saga_orchestrator.fsm.runtime.calls.participant_calls import ParticipantCalls
from saga_orchestrator.fsm.runtime.completion_webhooks import PendingWebhooks
from saga_orchestrator.http.api.metrics import render_metrics
from saga_orchestrator.http.wire.responses import FeedResponse, ParticipantsResponse, StatsResponse
from saga_orchestrator.projections.errors import ProjectionUnavailable
from saga_orchestrator.projections.stats import SagaCount, Stats

from .conftest import Service

NONE = dict.fromkeys(
    ("pending", "running", "compensating", "completed", "compensated", "parked", "abandoned"), 0
)


async def test_statistics_of_a_service_without_sagas(service: Service) -> None:
    stats = await service.get("/stats")

    assert stats.pop("since")
    assert stats == {"totals": NONE, "sagas": [], "steps": []}


async def test_counts_and_failures_by_type_and_step(service: Service) -> None:
    await asyncio.gather(
        *(service.start(saga_type) for saga_type in ("quick", "quick", "stuck", "refused"))
    )

    stats = await service.get("/stats")

    assert stats["totals"] == {**NONE, "completed": 2, "parked": 1, "compensated": 1}
    by_type = {saga["saga_type"]: saga for saga in stats["sagas"]}
    assert by_type["quick"]["counts"] == {**NONE, "completed": 2}
    assert [
        by_type[saga_type]["lately"]["failure_rate"] for saga_type in ("quick", "stuck", "refused")
    ] == [
        0,
        1,
        1,
    ]
    lately = by_type["quick"]["lately"]["duration_seconds"]
    assert 0 < lately["p50"] <= lately["p95"] < 10
    steps = [
        (step["saga_type"], step["step"], step["succeeded"], step["not_sent"], step["failure_rate"])
        for step in stats["steps"]
    ]
    assert steps == [
        ("quick", "nap", 2, 0, 0),
        ("refused", "pay", 0, 1, 1),
        ("stuck", "nap", 1, 0, 0),
    ]


async def test_participants_with_what_they_answered(service: Service) -> None:
    before = await service.get("/participants")
    await service.start("refused")

    after = await service.get("/participants")

    nobody = {
        "name": "nobody-service",
        "url": "http://127.0.0.1:9",
        "in_flight": 0,
        "waiting": 0,
        "outcomes": {},
        "breaker": "closed",
    }
    assert before == {"participants": [nobody]}
    assert after == {"participants": [{**nobody, "outcomes": {"not_sent": 1}}]}


async def test_metrics_can_be_collected(service: Service) -> None:
    for saga_type in ("quick", "stuck", "refused"):
        await service.start(saga_type)
    await service.state["listing"].refresh()

    answer = await service.client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["saga_events_recorded_total", "SagaCompleted", "quick"] == 1
    assert samples["saga_unsettled", "parked", "stuck"] == 1
    assert samples["saga_status_view_up",] == 1
    assert samples["saga_calls_total", "action", "nobody-service", "not_sent"] == 1
    assert samples["saga_calls_in_flight", "nobody-service"] == 0
    assert samples["saga_call_seconds_bucket", "+Inf", "nobody-service"] == 1
    assert samples["saga_call_seconds_count", "nobody-service"] == 1
    assert samples["saga_callbacks_owed",] == 0
    assert samples["process_open_fds",] > 0


async def test_metrics_are_served_without_the_database(service: Service) -> None:
    await service.start("refused")
    state = service.state

    text = await render_metrics(NoStatistics(), state["executor"], state["event_counts"], OWED)

    assert b"saga_status_view_up 0.0" in text
    assert b"saga_callbacks_owed 3.0" in text
    assert b"saga_callbacks_owed_seconds 90.0" in text
    assert b"saga_unsettled{" not in text
    assert b'outcome="not_sent",participant="nobody-service"} 1.0' in text


OWED = PendingWebhooks(3, timedelta(seconds=90), "s1")


class NoStatistics:
    async def stats(self, now: datetime) -> Stats:
        raise ProjectionUnavailable("the database is away")

    async def open_counts(self) -> Sequence[SagaCount]:
        raise ProjectionUnavailable("the database is away")


async def test_calls_are_counted_while_they_wait_and_while_they_are_out() -> None:
    turns, done = ParticipantCalls(1).semaphore, asyncio.Event()
    seen = []

    async def call() -> None:
        if not turns.try_acquire():
            await turns.acquire()
        try:
            await done.wait()
        finally:
            turns.release()

    async with asyncio.TaskGroup() as calls:
        first, second, third = (calls.create_task(call()) for _ in range(3))
        await asyncio.sleep(0)
        seen.append((turns.acquired, turns.waiting))
        second.cancel()
        await asyncio.wait([second])
        seen.append((turns.acquired, turns.waiting))
        done.set()
        await asyncio.wait([first, third])
        seen.append((turns.acquired, turns.waiting))

    assert seen == [(1, 2), (1, 1), (0, 0)]


async def test_answers_are_as_they_are_described(service: Service) -> None:
    await asyncio.gather(*(service.start(saga_type) for saga_type in ("quick", "stuck", "refused")))

    FeedResponse.model_validate(await service.get("/events"))
    StatsResponse.model_validate(await service.get("/stats"))
    ParticipantsResponse.model_validate(await service.get("/participants"))
