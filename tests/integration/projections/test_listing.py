"""Lists of sagas: filters, and pages that keep their place while sagas go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Final

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.fsm.inputs import Abandon, StartSaga
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections import listing as listing_module
from saga_orchestrator.projections import statement
from saga_orchestrator.projections.errors import ProjectionUnavailable
from saga_orchestrator.projections.listing import (
    PageCursor,
    SagaFilter,
    SagaSummary,
    ShardLag,
    StatusListing,
    summary_view,
)
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.status_table import PROJECTION, StatusTable
from saga_orchestrator.tests.integration.projections.random_sagas import (
    Row,
    replayed_rows,
    run_random_sagas,
)
from saga_orchestrator.tests.support.in_memory_service import NOON, ORDER_STEP_DATA, InMemoryService
from saga_orchestrator.tests.support.virtual_time import await_idle


def tags_of(row: Row) -> Mapping[str, str]:
    tags = row["tags"]
    assert isinstance(tags, Mapping)
    return tags


ALL: Final = SagaFilter()
PARKED: Final = SagaFilter(status=SagaStatus.PARKED)
REQUEST: Final = StartSaga(entity_id="new", input={"step_data": ORDER_STEP_DATA})
LIMIT: Final = timedelta(seconds=10)
SHARD: Final = 3
LATER: Final = NOON + timedelta(hours=1)
FILTERS: Final[Sequence[tuple[SagaFilter, Callable[[Row], bool]]]] = [
    (SagaFilter(saga_type="pivotal"), lambda row: row["saga_type"] == "pivotal"),
    (SagaFilter(saga_type="journey"), lambda row: False),
    (SagaFilter(status=SagaStatus.PARKED), lambda row: row["status"] == "parked"),
    (SagaFilter(status=SagaStatus.COMPLETED), lambda row: row["status"] == "completed"),
    (SagaFilter(paused=True), lambda row: bool(row["paused"])),
    (SagaFilter(paused=False), lambda row: not row["paused"]),
    (SagaFilter(status=SagaStatus.PARKED, paused=True), lambda row: False),
    (SagaFilter(entity_id="7"), lambda row: row["entity_id"] in (7, "7")),
    (SagaFilter(entity_id="%"), lambda row: False),
    (SagaFilter(tags={"shop": "north"}), lambda row: row["tags"] == {"shop": "north"}),
    (SagaFilter(tags={"vip": "yes"}), lambda row: "yes" in tags_of(row).values()),
    (SagaFilter(tags={"shop": "north", "vip": "yes"}), lambda row: False),
    (SagaFilter(step="process_payment"), lambda row: row["current_step"] == "process_payment"),
    (SagaFilter(step="%"), lambda row: False),
    (SagaFilter(error="DECLINED"), lambda row: "declined" in str(row["error"])),
    (
        SagaFilter(error="process_payment was"),
        lambda row: "process_payment was" in str(row["error"]),
    ),
    (SagaFilter(error="process%was"), lambda row: False),
    (SagaFilter(error="process.payment"), lambda row: False),
    (SagaFilter(started_after=NOON), lambda row: str(row["created_at"]) > str(NOON)),
    (SagaFilter(started_before=LATER), lambda row: str(row["created_at"]) < str(LATER)),
    (
        SagaFilter(saga_type="pivotal", status=SagaStatus.COMPLETED, tags={"shop": "south"}),
        lambda row: (
            (row["saga_type"], row["status"], tags_of(row).get("shop"))
            == ("pivotal", "completed", "south")
        ),
    ),
]


@pytest.fixture
async def listing(database_url: str, projector: Projector) -> AsyncIterator[StatusListing]:
    readers = ReaderPool(database_url, LIMIT, statement)
    yield StatusListing(readers, projector.flush)
    await readers.close()


@pytest.fixture
async def expected_rows(service: InMemoryService, projector: Projector) -> Sequence[Row]:
    """Replayed rows of sagas that were started over two hours, newest first."""
    await run_random_sagas(service, Random(1), sagas=25)
    service.clock.time = max(service.clock.time, LATER)
    await run_random_sagas(service, Random(3), sagas=25)
    await projector.flush()
    return (await replayed_rows(service))[::-1]


def as_row(summary: SagaSummary) -> Row:
    return {name: getattr(summary, name) for name in SagaSummary.__slots__}


def cut_to_summary(row: Row) -> Row:
    return {name: row[name] for name in SagaSummary.__slots__}


def ids_of(rows: Iterable[Row]) -> list[object]:
    return [row["saga_id"] for row in rows]


def in_order(saga_filter: SagaFilter, expected_rows: Sequence[Row]) -> Sequence[Row]:
    if not saga_filter.is_parked_queue:
        return expected_rows
    parked = [row for row in expected_rows if row["status"] == "parked"]
    return sorted(parked, key=lambda row: (str(row["parked_at"]), str(row["saga_id"])))


async def all_pages(listing: StatusListing, saga_filter: SagaFilter, size: int) -> list[str]:
    saga_ids: list[str] = []
    after = None
    while page := await listing.page(saga_filter, after, size):
        assert len(page) <= size
        saga_ids += [summary.saga_id for summary in page]
        after = saga_filter.cursor_after(page[-1])
    return saga_ids


async def test_sagas_are_listed_newest_first(
    listing: StatusListing, expected_rows: Sequence[Row]
) -> None:
    page = await listing.page(ALL, None, 1000)

    assert [*map(as_row, page)] == [*map(cut_to_summary, expected_rows)]
    assert all(isinstance(summary.status, SagaStatus) for summary in page)
    assert [summary_view(summary)["saga_id"] for summary in page] == ids_of(expected_rows)


async def test_all_conditions_of_a_filter_must_hold(
    listing: StatusListing, expected_rows: Sequence[Row]
) -> None:
    for saga_filter, holds in FILTERS:
        page = await listing.page(saga_filter, None, 1000)
        expected = ids_of(filter(holds, in_order(saga_filter, expected_rows)))
        assert [summary.saga_id for summary in page] == expected, saga_filter


async def test_pages_follow_one_another_without_gap_or_overlap(
    listing: StatusListing, expected_rows: Sequence[Row]
) -> None:
    for saga_filter in (ALL, PARKED):
        expected = ids_of(in_order(saga_filter, expected_rows))
        assert len(expected) > 4
        for size in (1, 4, 50, 51):
            assert await all_pages(listing, saga_filter, size) == expected


async def test_filters_apply_to_the_queue_too(
    listing: StatusListing, expected_rows: Sequence[Row]
) -> None:
    for saga_filter, holds in FILTERS:
        if saga_filter.status is None:
            page = await listing.page(replace(saga_filter, status=SagaStatus.PARKED), None, 1000)
            expected = ids_of(filter(holds, in_order(PARKED, expected_rows)))
            assert [summary.saga_id for summary in page] == expected, saga_filter


async def test_queue_continues_after_a_saga_that_is_no_longer_parked(
    listing: StatusListing,
    expected_rows: Sequence[Row],
    service: InMemoryService,
    projector: Projector,
) -> None:
    first = await listing.page(PARKED, None, 2)
    expected = await listing.page(PARKED, PARKED.cursor_after(first[-1]), 1000)
    await service.orchestrator.execute(first[-1].saga_id, Abandon(reason="settled"))
    await projector.flush()

    rest = await listing.page(PARKED, PARKED.cursor_after(first[-1]), 1000)

    assert rest == expected
    assert (await listing.page(PARKED, None, 1))[0].saga_id == first[0].saga_id
    assert first[-1].saga_id not in await all_pages(listing, PARKED, 1)


async def test_page_keeps_its_place_while_sagas_are_started(
    listing: StatusListing,
    expected_rows: Sequence[Row],
    service: InMemoryService,
    projector: Projector,
) -> None:
    first = await listing.page(ALL, None, 10)
    expected = await listing.page(ALL, PageCursor(first[-1].saga_id), 10)
    service.clock.advance(timedelta(hours=1))
    started = await service.orchestrator.start("order_processing", REQUEST)
    await projector.flush()

    second = await listing.page(ALL, PageCursor(first[-1].saga_id), 10)

    assert [saga.saga_id for saga in second] == [saga.saga_id for saga in expected]
    assert (await listing.page(ALL, None, 1))[0].saga_id == started.saga.state.saga_id


async def test_entity_id_that_is_an_object_is_listed_unchanged(
    listing: StatusListing, service: InMemoryService, projector: Projector
) -> None:
    entity = {"order": [1, "a'b", None], "big": 2**70}
    request = StartSaga(entity_id=entity, input={"step_data": ORDER_STEP_DATA})  # type: ignore[arg-type]
    await service.orchestrator.start("order_processing", request)
    await projector.flush()

    (summary,) = await listing.page(ALL, None, 10)

    assert summary.entity_id == entity


async def test_refreshed_list_includes_the_latest_events(
    listing: StatusListing, service: InMemoryService
) -> None:
    await service.orchestrator.start("order_processing", REQUEST)
    await await_idle(service.driver)
    assert await listing.page(ALL, None, 10) == []

    await listing.refresh()

    (fold,) = await replayed_rows(service)
    assert [*map(as_row, await listing.page(ALL, None, 10))] == [cut_to_summary(fold)]


async def test_a_list_waits_for_what_another_node_has_recorded(
    database_url: str, projector: Projector, status_table: StatusTable
) -> None:
    looked_again = asyncio.Event()

    async def project() -> None:
        if missing:
            looked_again.set()
        missing.extend(await lagging_shards(database_url))

    missing: list[int] = []
    readers = ReaderPool(database_url, LIMIT, statement)
    async with a_shard_of_another_node(database_url) as other, asyncio.timeout(10):
        refreshing = asyncio.create_task(StatusListing(readers, project).refresh())
        await looked_again.wait()
        await Projector(status_table, other, load_no_saga).acquire_shards([SHARD])
        await refreshing

    assert set(missing) == {SHARD}
    assert await lagging_shards(database_url) == []
    await readers.close()


async def test_a_list_does_not_wait_for_ever_for_a_node_that_writes_nothing(
    database_url: str, listing: StatusListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "REFRESH_TIMEOUT", timedelta(milliseconds=50))
    async with a_shard_of_another_node(database_url), asyncio.timeout(10):
        await listing.refresh()

    assert await lagging_shards(database_url) == [SHARD]


@asynccontextmanager
async def a_shard_of_another_node(database_url: str) -> AsyncIterator[PostgresLog]:
    """Another node claims a shard twice; the status table covers the first claim only."""
    log = PostgresLog(database_url)
    await log.claim([SHARD], recorded_at=NOON)
    assert await lagging_shards(database_url) == []
    await log.claim([SHARD], recorded_at=NOON)
    yield log
    await log.close()


async def lagging_shards(database_url: str) -> list[int]:
    readers = ReaderPool(database_url, LIMIT, statement)
    shards = await readers.fetch(ShardLag, "find_unfolded", {"projection": PROJECTION})
    await readers.close()
    return [shard.shard_id for shard in shards]


async def load_no_saga(saga_ids: Iterable[str]) -> Mapping[str, Saga | Exception]:
    return {}


@pytest.mark.parametrize(
    "trouble", [psycopg.OperationalError("cut"), OSError("away"), LogUnavailable("no database")]
)
async def test_failed_refresh_is_projection_unavailable(
    database_url: str, trouble: Exception
) -> None:
    async def project() -> None:
        raise trouble

    readers = ReaderPool(database_url, LIMIT, statement)
    with pytest.raises(ProjectionUnavailable, match=str(trouble)):
        await StatusListing(readers, project).refresh()

    await readers.close()


async def test_unreachable_database_is_projection_unavailable() -> None:
    readers = ReaderPool("postgresql://127.0.0.1:1/nowhere", LIMIT, statement)

    with pytest.raises(ProjectionUnavailable):
        await StatusListing(readers, readers.close).page(ALL, None, 10)

    await readers.close()
