from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import httpx
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.projections.listing import SagaFilter, SagaSummary
from saga_orchestrator.tests.world import NOON

from .conftest import ScriptedListing

ONE = SagaSummary(
    saga_id="019ca945-0a00-7000-8000-000000000101",
    saga_type="order_processing",
    definition_version=1,
    entity_id=123,
    status=SagaStatus.COMPLETED,
    error=None,
    tags={"region": "eu"},
    version=8,
    created_at=NOON,
    updated_at=NOON,
)


async def test_a_saga_in_the_list(client: httpx.AsyncClient, listing: ScriptedListing) -> None:
    listing.sagas = [ONE]

    response = await client.get("/sagas")

    assert response.json() == {
        "sagas": [
            {
                "saga_id": ONE.saga_id,
                "saga_type": "order_processing",
                "definition_version": 1,
                "entity_id": 123,
                "status": "completed",
                "error": None,
                "tags": {"region": "eu"},
                "version": 8,
                "created_at": "2026-03-01T12:00:00.000000Z",
                "updated_at": "2026-03-01T12:00:00.000000Z",
            }
        ],
        "next_cursor": None,
    }


async def test_what_is_asked_for_is_handed_on(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    await client.get(
        "/sagas",
        params={
            "type": "order_processing",
            "status": "parked",
            "entity_id": "123",
            "tag.region": "eu",
            "tag.a.b": "c d",
            "started_after": "2026-03-01T12:00:00Z",
            "started_before": "2026-03-01T13:00:00+01:00",
            "limit": "7",
            "cursor": ONE.saga_id,
        },
    )

    wanted = SagaFilter(
        saga_type="order_processing",
        status=SagaStatus.PARKED,
        entity_id="123",
        tags={"region": "eu", "a.b": "c d"},
        started_after=datetime(2026, 3, 1, 12, tzinfo=UTC),
        started_before=datetime(2026, 3, 1, 12, tzinfo=UTC),
    )
    assert listing.asked == [(wanted, ONE.saga_id, 8)]


async def test_pages_follow_one_another_and_keep_the_filter(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    ids = [f"019ca945-0a00-7000-8000-{n:012x}" for n in range(5, 0, -1)]
    listing.sagas = [replace(ONE, saga_id=one) for one in ids]
    path, pages = "/sagas?limit=2&tag.region=e%26u", []
    while path:
        response = await client.get(path)
        pages.append([one["saga_id"] for one in response.json()["sagas"]])
        path = response.links.get("next", {}).get("url", "")

    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert {one[0].tags["region"] for one in listing.asked} == {"e&u"}
