from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import psycopg
from saga_orchestrator.eventstore.event import shard_of
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.projections import statement
from saga_orchestrator.projections.audit.streams import LOWEST_STREAM_ID, StreamReader
from saga_orchestrator.projections.feed import MAX_WINDOWS_PER_PAGE, FeedCursor, FeedFilter, LogFeed

from .conftest import Answer, Service

LONGER = """
  insert into event
  select shard_id, seq + n, stream_id, version + n, epoch, type, schema_version, recorded_at,
         payload, hash
  from event, generate_series(1, %s) as n
  where stream_id = %s and type = 'SagaCompleted'
"""
QUICK = ["SagaStarted", "WaitStarted", "StepSucceeded", "SagaCompleted"]


async def read_all(service: Service, **query: str | int) -> list[Answer]:
    """Follow the links to the next page until the end."""
    response = await service.client.get("/events", params=query)
    events: list[Answer] = response.json()["events"]
    while path := response.links.get("next", {}).get("url"):
        response = await service.client.get(path)
        events += response.json()["events"]
    return events


async def test_events_of_a_saga_are_in_order(service: Service) -> None:
    saga_id = await service.start("quick")

    page = await service.get("/events", saga_type="quick")

    events = page["events"]
    assert [(event["saga_id"], event["version"], event["type"]) for event in events] == [
        (saga_id, version, kind) for version, kind in enumerate(QUICK, start=1)
    ]
    trail = (await service.get(f"/sagas/{saga_id}/events"))["events"]
    assert events == [{"saga_id": saga_id, **event} for event in trail]


async def test_pages_of_any_size_contain_every_event_once(service: Service) -> None:
    sagas = await asyncio.gather(*(service.start("quick") for _ in range(12)))
    whole = await read_all(service, limit=1000)

    for limit in (1, 7, 12):
        assert await read_all(service, limit=limit) == whole

    assert sorted({event["saga_id"] for event in whole}) == sorted(sagas)
    assert len(whole) == len(sagas) * len(QUICK)


async def test_pages_of_large_events_end_at_four_megabytes(service: Service) -> None:
    for _ in range(5):
        swell(service, await service.start("quick"))
    whole = await read_all(service, limit=3)

    response = await service.client.get("/events", params={"limit": 1000})
    sizes = [len(response.content)]
    events = response.json()["events"]
    while path := response.links.get("next", {}).get("url"):
        response = await service.client.get(path)
        sizes.append(len(response.content))
        events += response.json()["events"]

    assert events == whole
    assert max(sizes) <= 4 * 1024 * 1024
    assert len(sizes) == 5


async def test_events_that_do_not_fit_on_a_page_are_not_read(service: Service) -> None:
    for _ in range(5):
        swell(service, await service.start("quick"))

    async with open_feed(service, window=500) as feed:
        rows = await feed._read(
            FeedFilter(), FeedCursor(), await feed._shard_ends(FeedFilter()), 1000
        )

    assert sum(len(event.payload) for event in rows) < 7 * 1024 * 1024


async def test_audit_reads_a_shard_in_pages_of_bounded_size(service: Service) -> None:
    saga_id = await service.start("quick")
    swell(service, saga_id)
    change(service, LONGER, 5, saga_id)
    change(service, "update event set payload = (select payload from event where version = 3)")
    readers = ReaderPool(service.database_url, timedelta(seconds=10), statement)
    try:
        streams = StreamReader(readers)
        position = {"after_stream": LOWEST_STREAM_ID, "after_version": 0}
        page = await streams._page(shard_of(saga_id), 10**9, position)
    finally:
        await readers.close()

    assert len(page) == 2


async def test_end_of_the_log_has_a_cursor(service: Service) -> None:
    await service.start("quick")
    end = (await service.get("/events"))["next"]
    at_the_end = await service.get("/events", after=end)
    later = await service.start("quick")

    page = await service.get("/events", after=at_the_end["next"])

    assert at_the_end == {"events": [], "next": end}
    assert [event["saga_id"] for event in page["events"]] == [later] * len(QUICK)


async def test_all_conditions_of_a_feed_filter_hold(service: Service) -> None:
    quick, stuck = await service.start("quick"), await service.start("stuck")

    started = await read_all(service, type="SagaStarted", limit=1)
    of_stuck = await read_all(service, saga_type="stuck")
    both = await read_all(service, saga_type="stuck", type="SagaStarted")

    assert {event["saga_id"] for event in started} == {quick, stuck}
    assert {event["saga_id"] for event in of_stuck} == {stuck}
    assert of_stuck[-1]["type"] == "SagaParked"
    assert both == of_stuck[:1]


async def test_filter_without_matches_leads_to_the_end(service: Service) -> None:
    await service.start("quick")

    page = await service.get("/events", type="NeverHappens")

    assert page["events"] == []
    assert await read_all(service, after=str(page["next"])) == []


async def test_events_of_a_shard_are_in_order_although_its_clock_stepped_back(
    service: Service,
) -> None:
    sagas = [await service.start("quick") for _ in range(3)]
    backwards(service, sagas)

    events = await read_all(service, limit=2)

    for saga_id in sagas:
        versions = [event["version"] for event in events if event["saga_id"] == saga_id]
        assert versions == [1, 2, 3, 4]
        assert all(later - earlier == 1 for earlier, later in pairwise(versions))


async def test_page_continues_from_window_to_window(service: Service) -> None:
    sagas = [await service.start(saga_type) for saga_type in ("quick", "stuck", "quick")]
    async with open_feed(service, window=1) as feed:
        page = await feed.page(FeedFilter(), FeedCursor(), 100)
        of_stuck = await feed.page(FeedFilter(saga_type="stuck"), FeedCursor(), 100)

    assert {event.stream_id for event in page.events} == set(sagas)
    assert [event.version for event in of_stuck.events] == [1, 2, 3, 4, 5]
    assert not page.has_more
    assert page.next == of_stuck.next


async def test_long_search_ends_a_page_early(service: Service) -> None:
    saga_id = await service.start("quick")
    change(service, LONGER, MAX_WINDOWS_PER_PAGE, saga_id)
    feed_filter = FeedFilter(type="SagaParked")
    async with open_feed(service, window=1) as feed:
        first = await feed.page(feed_filter, FeedCursor(), 100)
        second = await feed.page(feed_filter, first.next, 100)

    assert (first.events, first.has_more) == ([], True)
    assert (second.events, second.has_more) == ([], False)


async def test_events_that_are_not_projected_yet_come_later(service: Service) -> None:
    await service.start("quick")
    feed_filter = FeedFilter(saga_type="quick")
    async with open_feed(service) as feed:
        change(service, "update projection_checkpoint set projection = 'hidden'")
        early = await feed.page(feed_filter, FeedCursor(), 100)
        change(service, "update projection_checkpoint set projection = 'saga_status'")
        late = await feed.page(feed_filter, early.next, 100)

    assert (early.events, early.next, early.has_more) == ([], FeedCursor(), False)
    assert [event.type for event in late.events] == QUICK


async def test_unreadable_event_does_not_end_the_feed(service: Service) -> None:
    saga_id = await service.start("quick")
    change(
        service,
        "update event set payload = '{\"step\":' where stream_id = %s and version = 3",
        saga_id,
    )

    events = await read_all(service, saga_type="quick", limit=2)

    assert [event["type"] for event in events] == QUICK
    assert list(events[2]["data"]) == ["unreadable"]


async def test_text_that_is_no_cursor_is_refused(service: Service) -> None:
    responses = [
        await service.client.get("/events", params={"after": after})
        for after in ("nonsense", "", FeedCursor().encode() + "A", "é", "A" * 5000)
    ]

    assert [response.status_code for response in responses] == [422] * 5
    assert responses[0].json()["errors"][0]["pointer"] == "/after"


async def test_limit_is_bounded(service: Service) -> None:
    assert (await service.client.get("/events?limit=1001")).status_code == 422
    assert (await service.client.get("/events?limit=0")).status_code == 422


@asynccontextmanager
async def open_feed(service: Service, *, window: int = 500) -> AsyncIterator[LogFeed]:
    """Open another feed on the same database, after the status table has caught up."""
    await service.state["listing"].refresh()
    log = PostgresLog(service.database_url)
    readers = ReaderPool(service.database_url, timedelta(seconds=10), statement)
    try:
        yield LogFeed(log, readers, nothing, window=window)
    finally:
        await readers.close()
        await log.close()


async def nothing() -> None:
    """The status table has caught up already."""


def swell(service: Service, saga_id: str) -> None:
    """Enlarge the output of the saga's step to three megabytes."""
    command = """
      update event
      set payload = convert_to(
        jsonb_set(
          convert_from(payload, 'UTF8')::jsonb, '{output}', to_jsonb(repeat('x', 3000000))
        )::text, 'UTF8')
      where stream_id = %s and type = 'StepSucceeded'
    """
    change(service, command, saga_id)


def backwards(service: Service, sagas: list[str]) -> None:
    for number, saga_id in enumerate(sagas):
        command = (
            "update event set recorded_at = recorded_at - make_interval(mins => version * %s)"
            " where stream_id = %s"
        )
        change(service, command, number + 1, saga_id)


def change(service: Service, command: str, *parameters: object) -> None:
    """Change events, with the append-only trigger disabled."""
    url = service.database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("grant update on event to current_user")
        connection.execute("alter table event disable trigger event_is_append_only")
        connection.execute(command.encode(), parameters)
