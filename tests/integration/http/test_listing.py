from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.projections.listing import PageCursor, SagaFilter, SagaSummary
from saga_orchestrator.tests.support.in_memory_service import NOON

from .conftest import ScriptedListing

ONE = SagaSummary(
    saga_id="019ca945-0a00-7000-8000-000000000101",
    saga_type="order_processing",
    definition_version=1,
    entity_id=123,
    status=SagaStatus.COMPLETED,
    current_step=None,
    error=None,
    parked_at=None,
    parked=None,
    paused=False,
    tags={"region": "eu"},
    version=8,
    created_at=NOON,
    updated_at=NOON,
)


async def test_query_reaches_the_listing(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    listing.sagas = [ONE]
    await client.get(
        "/sagas",
        params={
            "type": "order_processing",
            "status": "running",
            "paused": "true",
            "step": "pay",
            "entity_id": "123",
            "tag.region": "eu",
            "tag.a.b": "c d",
            "started_after": "2026-03-01T12:00:00Z",
            "started_before": "2026-03-01T13:00:00+01:00",
            "error": "50% off",
            "limit": "7",
            "cursor": ONE.saga_id,
        },
    )

    wanted = SagaFilter(
        saga_type="order_processing",
        status=SagaStatus.RUNNING,
        paused=True,
        step="pay",
        entity_id="123",
        tags={"region": "eu", "a.b": "c d"},
        started_after=datetime(2026, 3, 1, 12, tzinfo=UTC),
        started_before=datetime(2026, 3, 1, 12, tzinfo=UTC),
        error="50% off",
    )
    assert listing.asked == [(wanted, PageCursor(ONE.saga_id), 8)]


async def test_pages_follow_one_another_and_keep_the_filter(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    ids = [f"019ca945-0a00-7000-8000-{n:012x}" for n in range(5, 0, -1)]
    listing.sagas = [replace(ONE, saga_id=saga_id) for saga_id in ids]
    path, pages = "/sagas?limit=2&tag.region=e%26u", []
    while path:
        response = await client.get(path)
        pages.append([saga["saga_id"] for saga in response.json()["sagas"]])
        path = response.links.get("next", {}).get("url", "")

    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert {query[0].tags["region"] for query in listing.asked} == {"e&u"}


async def test_pages_of_parked_sagas_continue_after_the_time_of_parking(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    ids = [f"019ca945-0a00-7000-8000-{n:012x}" for n in (3, 1, 2)]
    listing.sagas = [
        replace(ONE, saga_id=saga_id, parked_at=NOON + timedelta(minutes=minutes))
        for saga_id, minutes in zip(ids, (0, 0, 7), strict=True)
    ]

    first = await client.get("/sagas?status=parked&limit=2")
    second = await client.get(first.links["next"]["url"])

    assert [saga["saga_id"] for saga in first.json()["sagas"]] == ids[:2]
    assert [saga["saga_id"] for saga in second.json()["sagas"]] == ids[2:]
    assert first.json()["next_cursor"] == f"2026-03-01T12:00:00.000000Z_{ids[1]}"


async def test_cursor_of_another_order_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/sagas?status=parked&cursor={ONE.saga_id}")

    assert (response.status_code, response.json()["code"]) == (422, "invalid-query")
    assert [error["pointer"] for error in response.json()["errors"]] == ["/cursor"]


async def test_a_page_of_sagas_with_large_tags_ends_early(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    tags = {f"{number:02}": "x" * 1000 for number in range(50)}
    ids = [f"019ca945-0a00-7000-8000-{number:012x}" for number in range(300)]
    listing.sagas = [replace(ONE, saga_id=saga_id, tags=tags) for saga_id in ids]

    path, found, pages = "/sagas?limit=1000", list[str](), 0
    while path:
        answer = await client.get(path)
        assert len(answer.content) <= 4 * 1024 * 1024
        found += [saga["saga_id"] for saga in answer.json()["sagas"]]
        path, pages = answer.links.get("next", {}).get("url", ""), pages + 1

    assert found == ids
    assert pages == 4
    assert max(limit for *_, limit in listing.asked) < 1000
