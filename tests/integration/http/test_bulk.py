"""One verb for many sagas: counted first, then a job that no refusal stops."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.runtime import bulk as jobs
from saga_orchestrator.fsm.runtime.bulk import BulkJobs
from saga_orchestrator.http.api import bulk as door
from saga_orchestrator.http.wire import json_response
from saga_orchestrator.http.wire.responses import (
    BulkDryRunResponse,
    BulkJobResponse,
    BulkJobsResponse,
    BulkSagasResponse,
)
from saga_orchestrator.projections.errors import ProjectionUnavailable
from saga_orchestrator.projections.listing import PageCursor, SagaFilter, SagaSummary
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    ORDER_STEP_DATA,
    InMemoryService,
)

from .conftest import ScriptedListing
from .situations import SITUATIONS, completed, paused, waiting

STOP_ALL: dict[str, Any] = {"action": "cancel", "filter": {}, "reason": "wrong price"}
VERBS = [
    ("compensate", "completed", "CompensationStarted"),
    ("cancel", "waiting", "CompensationStarted"),
    ("retry", "parked_forward", "SagaUnparked"),
    ("pause", "waiting", "SagaPaused"),
    ("resume", "paused", "SagaResumed"),
    ("abandon", "parked_back", "SagaAbandoned"),
]


def listed(listing: ScriptedListing, *saga_ids: str) -> None:
    listing.sagas = [summary(saga_id) for saga_id in sorted(saga_ids, reverse=True)]


def summary(saga_id: str) -> SagaSummary:
    return SagaSummary(
        saga_id=saga_id,
        saga_type="offer",
        definition_version=1,
        entity_id=1,
        status=SagaStatus.RUNNING,
        current_step="approve",
        error=None,
        parked_at=None,
        parked=None,
        paused=False,
        tags={},
        version=4,
        created_at=NOON,
        updated_at=NOON,
    )


def nobodies(number: int) -> list[str]:
    return [f"019ca945-0a00-7000-9000-{n:012x}" for n in range(number)]


async def at_its_end(client: httpx.AsyncClient, bulk: BulkJobs, started: httpx.Response) -> Any:
    """The job once it has asked everybody."""
    await bulk.step()
    response = await client.get(started.headers["location"])
    assert response.status_code == 200
    return BulkJobResponse.model_validate_json(response.content)


async def test_dry_run_counts_sagas_and_commands_none(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing
) -> None:
    listed(listing, await waiting(service), *nobodies(30))
    before = len(service.events)

    response = await client.post("/bulk", json={**STOP_ALL, "dry_run": True})

    answer = BulkDryRunResponse.model_validate_json(response.content)
    assert (response.status_code, answer.matched) == (200, 31)
    assert answer.saga_ids == [saga.saga_id for saga in listing.sagas[:20]]
    assert listing.refreshed == 1
    assert len(service.events) == before


async def test_job_commands_every_saga_and_lists_refusals(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing, bulk: BulkJobs
) -> None:
    running, halted = await waiting(service), await paused(service)
    done, nobody = await completed(service), nobodies(1)[0]
    listed(listing, running, halted, done, nobody)

    response = await client.post("/bulk", json=STOP_ALL)

    job = BulkJobResponse.model_validate_json(response.content)
    assert (response.status_code, job.matched, job.done, job.refused) == (202, 4, 0, 0)
    assert (job.action, job.finished_at) == ("cancel", None)
    assert response.headers["location"] == f"/bulk/{job.job_id}"

    job = await at_its_end(client, bulk, response)
    assert (job.matched, job.done, job.refused) == (4, 2, 2)
    assert job.refusals == {
        done: f"cancel of saga {done} is not possible: it is completed; compensate it instead",
        nobody: f"there is no saga {nobody}",
    }
    assert job.started_at == job.finished_at == "2026-03-01T12:00:00.000000Z"
    for saga_id in (running, halted):
        saga = await service.await_rest(saga_id)
        assert (saga.state.status, saga.state.error) == (
            "compensated",
            "compensation was requested: wrong price",
        )


@pytest.mark.parametrize(("action", "situation", "recorded"), VERBS)
async def test_each_command_is_recorded_with_the_reason(
    client: httpx.AsyncClient,
    service: InMemoryService,
    listing: ScriptedListing,
    bulk: BulkJobs,
    action: str,
    situation: str,
    recorded: str,
) -> None:
    saga_id = await SITUATIONS[situation](service)
    listed(listing, saga_id)
    before = len(service.events)

    started = await client.post("/bulk", json={**STOP_ALL, "action": action})

    assert (await at_its_end(client, bulk, started)).done == 1
    event = (await client.get(f"/sagas/{saga_id}/events?after={before}&limit=1")).json()["events"]
    assert [(event_view["type"], event_view["reason"]) for event_view in event] == [
        (recorded, "wrong price")
    ]


async def test_filter_reaches_the_listing(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    wanted = {
        "type": "offer",
        "status": "running",
        "paused": False,
        "step": "approve",
        "entity_id": "7",
        "tags": {"region": "eu"},
        "started_after": "2026-03-01T12:00:00Z",
        "started_before": "2026-03-01T14:00:00+01:00",
        "error": "50% off",
    }

    await client.post("/bulk", json={**STOP_ALL, "filter": wanted, "dry_run": True})

    asked = SagaFilter(
        saga_type="offer",
        status=SagaStatus.RUNNING,
        paused=False,
        step="approve",
        entity_id="7",
        tags={"region": "eu"},
        started_after=datetime(2026, 3, 1, 12, tzinfo=UTC),
        started_before=datetime(2026, 3, 1, 13, tzinfo=UTC),
        error="50% off",
    )
    assert [query for query, _, _ in listing.asked] == [asked]


async def test_sagas_of_all_pages_are_matched(
    client: httpx.AsyncClient, listing: ScriptedListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "READ_BATCH_SAGAS", 3)
    listed(listing, *nobodies(7))

    response = await client.post("/bulk", json={**STOP_ALL, "dry_run": True})

    ids = [saga.saga_id for saga in listing.sagas]
    assert (response.json()["matched"], response.json()["saga_ids"]) == (7, ids)
    places = [after for _, after, _ in listing.asked]
    assert places == [None, PageCursor(ids[2]), PageCursor(ids[5])]


async def test_saga_parked_again_between_two_pages_is_matched_once(
    client: httpx.AsyncClient, listing: ScriptedListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "READ_BATCH_SAGAS", 2)
    first, second = nobodies(2)
    times = [NOON + timedelta(minutes=number) for number in range(3)]
    listing.sagas = [
        replace(summary(saga_id), status=SagaStatus.PARKED, parked_at=at)
        for saga_id, at in zip((first, second, first), times, strict=True)
    ]

    parked = {**STOP_ALL, "filter": {"status": "parked"}, "dry_run": True}
    response = await client.post("/bulk", json=parked)

    assert (response.json()["matched"], response.json()["saga_ids"]) == (2, [first, second])
    assert [after for _, after, _ in listing.asked] == [None, PageCursor(second, times[1])]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(("matched", "fits"), [(4, True), (5, False), (6, False)])
async def test_job_with_too_many_sagas_is_refused_as_a_whole(
    client: httpx.AsyncClient,
    listing: ScriptedListing,
    bulk: BulkJobs,
    monkeypatch: pytest.MonkeyPatch,
    dry_run: bool,
    matched: int,
    fits: bool,
) -> None:
    monkeypatch.setattr(door, "READ_BATCH_SAGAS", 2)
    monkeypatch.setattr(door, "MAX_SAGAS", 4)
    listed(listing, *nobodies(matched))

    response = await client.post("/bulk", json={**STOP_ALL, "dry_run": dry_run})

    assert response.is_success is fits
    if not fits:
        assert (response.status_code, response.json()["code"]) == (422, "too-many-sagas")
        assert (await client.get("/bulk")).json()["jobs"] == []


async def test_job_shows_a_limited_number_of_refusals(
    client: httpx.AsyncClient, listing: ScriptedListing, bulk: BulkJobs
) -> None:
    listed(listing, *nobodies(jobs.MAX_REFUSALS + 5))

    job = await at_its_end(client, bulk, await client.post("/bulk", json=STOP_ALL))

    assert job.refused == jobs.MAX_REFUSALS + 5
    assert len(job.refusals) == jobs.MAX_REFUSALS


async def test_jobs_are_listed_page_by_page_newest_first(client: httpx.AsyncClient) -> None:
    started = [(await client.post("/bulk", json=STOP_ALL)).json()["job_id"] for _ in range(3)]

    first = await client.get("/bulk", params={"limit": 2})
    second = await client.get(first.links["next"]["url"])

    pages = [BulkJobsResponse.model_validate_json(page.content) for page in (first, second)]
    assert [[job.job_id for job in page.jobs] for page in pages] == [started[:0:-1], started[:1]]
    assert [page.next_cursor for page in pages] == [started[1], None]


async def test_job_keeps_what_it_was_made_from(
    client: httpx.AsyncClient, listing: ScriptedListing
) -> None:
    wanted = {"type": "offer", "started_before": "2026-03-01T14:00:00+01:00", "tags": {"a": "b"}}
    body = {**STOP_ALL, "filter": wanted, "name": "recall"}

    started = await client.post("/bulk", json=body, headers={"Saga-Actor": "Ada"})

    job = BulkJobResponse.model_validate_json(started.content)
    assert (job.name, job.action, job.reason, job.actor) == (
        "recall",
        "cancel",
        "wrong price",
        "Ada",
    )
    assert job.filter == {**wanted, "started_before": "2026-03-01T13:00:00Z"}
    assert job.status == "running"


async def test_sagas_of_a_job_are_listed_with_their_outcomes(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing, bulk: BulkJobs
) -> None:
    running, done = await waiting(service), await completed(service)
    listed(listing, running, done)
    started = await client.post("/bulk", json=STOP_ALL)
    sagas = f"{started.headers['location']}/sagas"

    before = BulkSagasResponse.model_validate_json((await client.get(sagas)).content)
    await bulk.step()
    first = await client.get(sagas, params={"limit": 1})
    second = await client.get(first.links["next"]["url"])
    refused = await client.get(sagas, params={"refused": "true"})

    assert {saga.outcome for saga in before.sagas} == {"pending"}
    pages = [BulkSagasResponse.model_validate_json(page.content) for page in (first, second)]
    outcomes = {saga.saga_id: saga.outcome for page in pages for saga in page.sagas}
    assert outcomes == {running: "done", done: "refused"}
    (saga,) = BulkSagasResponse.model_validate_json(refused.content).sagas
    assert (saga.saga_id, saga.ended_at) == (done, "2026-03-01T12:00:00.000000Z")
    assert "compensate it instead" in (saga.refusal or "")


async def test_cancelled_job_leaves_the_sagas_that_have_not_got_the_command(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing, bulk: BulkJobs
) -> None:
    saga_id = await waiting(service)
    listed(listing, saga_id)
    path = (await client.post("/bulk", json=STOP_ALL)).headers["location"]

    cancelled = await client.post(f"{path}/cancel", headers={"Saga-Actor": "Ada"})
    again = await client.post(f"{path}/cancel")
    await bulk.step()

    assert (cancelled.status_code, again.json()) == (200, cancelled.json())
    assert (cancelled.json()["status"], cancelled.json()["done"]) == ("cancelled", 0)
    assert cancelled.json()["cancelled_by"] == "Ada"
    sagas = (await client.get(f"{path}/sagas")).json()["sagas"]
    assert [saga["outcome"] for saga in sagas] == ["left"]
    assert (await service.orchestrator.saga(saga_id)).state.status == "running"


@pytest.mark.parametrize("job_id", ["x", "%00", nobodies(1)[0], "a" * 3000])
async def test_unknown_job_is_not_found(client: httpx.AsyncClient, job_id: str) -> None:
    responses = [
        await client.get(f"/bulk/{job_id}"),
        await client.get(f"/bulk/{job_id}/sagas"),
        await client.post(f"/bulk/{job_id}/cancel"),
    ]

    for response in responses:
        assert (response.status_code, response.json()["code"]) == (404, "unknown-bulk-job")


async def test_job_is_refused_while_the_read_model_is_unavailable(
    client: httpx.AsyncClient, listing: ScriptedListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: ScriptedListing) -> None:
        raise ProjectionUnavailable("no answer")

    monkeypatch.setattr(ScriptedListing, "refresh", away)
    response = await client.post("/bulk", json=STOP_ALL)

    assert (response.status_code, response.json()["code"]) == (503, "read-model-unavailable")
    assert response.headers["retry-after"] == "1"


async def test_only_an_abandon_takes_a_policy_for_children(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing, bulk: BulkJobs
) -> None:
    listed(listing, await waiting(service))

    refused = await client.post("/bulk", json={**STOP_ALL, "children": "leave"})
    asked = {**STOP_ALL, "action": "abandon", "children": "leave"}
    job = await at_its_end(client, bulk, await client.post("/bulk", json=asked))

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/children")
    assert job.done == 1


KEYED = {"Idempotency-Key": "recall-7"}


async def test_repetition_with_the_key_gets_the_same_job(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing, bulk: BulkJobs
) -> None:
    listed(listing, await waiting(service))
    first = await client.post("/bulk", json=STOP_ALL, headers=KEYED)
    job = await at_its_end(client, bulk, first)
    listed(listing, *nobodies(3))

    again = await client.post("/bulk", json=STOP_ALL, headers=KEYED)

    assert (first.status_code, again.status_code) == (202, 202)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert BulkJobResponse.model_validate_json(again.content) == job
    assert len((await client.get("/bulk")).json()["jobs"]) == 1


async def test_key_comes_before_everything_that_may_have_changed(
    client: httpx.AsyncClient, listing: ScriptedListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: ScriptedListing) -> None:
        raise ProjectionUnavailable("no answer")

    first = await client.post("/bulk", json=STOP_ALL, headers=KEYED)
    monkeypatch.setattr(ScriptedListing, "refresh", away)

    again = await client.post("/bulk", json=STOP_ALL, headers=KEYED)

    assert again.json() == first.json()


@pytest.mark.parametrize(
    "same",
    [
        {"name": None, "children": None, "dry_run": False},
        {"filter": {"tags": {}, "type": "offer", "status": None}},
    ],
)
async def test_members_at_their_defaults_make_no_other_request(
    client: httpx.AsyncClient, same: dict[str, Any]
) -> None:
    body = {**STOP_ALL, "filter": {"type": "offer"}}
    first = await client.post("/bulk", json=body, headers=KEYED)

    again = await client.post("/bulk", json={**body, **same}, headers=KEYED)

    assert (again.status_code, again.json()) == (202, first.json())


@pytest.mark.parametrize(
    "other",
    [
        {"action": "pause"},
        {"filter": {"type": "offer"}},
        {"filter": {"tags": {"a": "b"}}},
        {"filter": None},
        {"reason": "another"},
        {"dry_run": True},
        {"colour": "red"},
    ],
)
async def test_key_of_a_job_is_refused_for_another_request(
    client: httpx.AsyncClient, other: dict[str, Any]
) -> None:
    await client.post("/bulk", json=STOP_ALL, headers=KEYED)

    refused = await client.post("/bulk", json={**STOP_ALL, **other}, headers=KEYED)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-reused")
    assert len((await client.get("/bulk")).json()["jobs"]) == 1


async def test_refused_request_and_dry_run_use_no_key(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing
) -> None:
    listed(listing, await waiting(service))
    unused = [{**STOP_ALL, "dry_run": True}, {**STOP_ALL, "reason": ""}]
    for body in unused:
        await client.post("/bulk", json=body, headers=KEYED)

    started = await client.post("/bulk", json=STOP_ALL, headers=KEYED)

    assert (started.status_code, started.json()["matched"]) == (202, 1)
    assert "idempotency-replayed" not in started.headers


async def test_key_of_a_start_is_another_one(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing
) -> None:
    start = {"saga_type": "order_processing", "entity_id": 1, "step_data": ORDER_STEP_DATA}

    responses = [
        await client.post("/sagas/start", json=start, headers=KEYED),
        await client.post("/bulk", json=STOP_ALL, headers=KEYED),
    ]

    assert [response.status_code for response in responses] == [200, 202]


@pytest.mark.parametrize("key", ["", '"open', "a b", "x" * 256])
async def test_key_that_is_none_is_refused(client: httpx.AsyncClient, key: str) -> None:
    refused = await client.post("/bulk", json=STOP_ALL, headers={"Idempotency-Key": key})

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-idempotency-key")
    assert (await client.get("/bulk")).json()["jobs"] == []


async def test_job_of_a_newer_version_is_listed_with_a_note(
    client: httpx.AsyncClient, bulk: BulkJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CONTENT_VERSION", 2)
    newer = (await client.post("/bulk", json=STOP_ALL)).json()["job_id"]
    monkeypatch.undo()
    known = (await client.post("/bulk", json=STOP_ALL)).json()["job_id"]

    page = BulkJobsResponse.model_validate_json((await client.get("/bulk")).content)
    job = BulkJobResponse.model_validate_json((await client.get(f"/bulk/{newer}")).content)

    assert [each.job_id for each in page.jobs] == [known, newer]
    assert [each.action for each in page.jobs] == ["cancel", None]
    assert page.jobs[1] == job
    assert (job.name, job.filter, job.reason, job.actor) == (None, None, None, None)
    assert (job.status, job.matched, job.note) == ("running", 0, jobs.NEWER_CONTENT)


async def test_pages_end_where_they_are_full_of_bytes(
    client: httpx.AsyncClient, listing: ScriptedListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_response, "MAX_PAGE_BYTES", json_response.RESERVED_BYTES + 1000)
    monkeypatch.setattr(door, "READ_BATCH_JOBS", 2)
    listed(listing, *nobodies(30))
    started = [(await client.post("/bulk", json=STOP_ALL)).json()["job_id"] for _ in range(6)]

    listed_jobs, pages_of_jobs = await all_pages(client, "/bulk", "jobs")
    sagas, pages_of_sagas = await all_pages(client, f"/bulk/{started[0]}/sagas", "sagas")

    assert [job["job_id"] for job in listed_jobs] == started[::-1]
    assert [saga["saga_id"] for saga in sagas] == nobodies(30)
    assert (pages_of_jobs > 1, pages_of_sagas > 1) == (True, True)


async def all_pages(
    client: httpx.AsyncClient, path: str, member: str
) -> tuple[list[dict[str, Any]], int]:
    """Return the entries of all pages, and how many pages there were."""
    entries, pages = list[dict[str, Any]](), 0
    url: str | None = path
    while url is not None:
        response = await client.get(url)
        entries += response.json()[member]
        pages += 1
        url = response.links.get("next", {}).get("url")
    return entries, pages
