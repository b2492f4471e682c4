"""One operator command for many sagas, chosen by a filter: a dry run, then a job to follow.

Requests with the same idempotency key make one job. The key comes first: a repetition gets that
job, whichever sagas match the filter by then. A dry run records nothing: its key stays unused.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from ...fsm.codec import format_time
from ...fsm.definitions.findings import Finding
from ...fsm.formats.strict_json import Json
from ...fsm.runtime.bulk import BulkCommand, BulkJob, BulkJobs, BulkSaga, BulkStart
from ...fsm.runtime.errors import BulkJobNotFound, IdempotencyKeyReused
from ...projections.errors import ProjectionUnavailable
from ...projections.listing import Listing, SagaFilter
from ..state import Request
from ..wire.body import read_json_object
from ..wire.errors import InvalidIdempotencyKey, InvalidRequest, TooManySagas
from ..wire.headers import ACTOR_HEADER, read_actor, read_bulk_key
from ..wire.json_response import JsonPage, json_response
from ..wire.requests import (
    BulkJobsQuery,
    BulkRequest,
    BulkSagasQuery,
    NoQuery,
    read_query,
    validate_body,
)
from ..wire.responses import (
    BulkDryRunResponse,
    BulkJobResponse,
    BulkJobsResponse,
    BulkSagasResponse,
)
from ..wire.route import ResponseSpec, RouteSpec

READ_BATCH_SAGAS: Final = 1000
MAX_SAGAS: Final = 100_000  # of one job
MAX_DRY_RUN_IDS: Final = 20
READ_BATCH_JOBS: Final = 10  # each with up to a hundred refusals


async def bulk(request: Request) -> Response:
    bulk_jobs = request.state["bulk"]
    read_query(NoQuery, request)
    members = await read_json_object(request)
    key = read_bulk_key(request, members)
    if key is not None and (earlier := await bulk_jobs.find_started(key)) is not None:
        return _accepted(BulkStart(earlier, replayed=True))
    body = validate_body(BulkRequest, members)
    command = _command(body, read_actor(request))
    saga_ids = await _matching_sagas(request.state["listing"], body.filter.to_filter())
    if body.dry_run:
        return json_response({"matched": len(saga_ids), "saga_ids": saga_ids[:MAX_DRY_RUN_IDS]})
    return _accepted(await bulk_jobs.start(command, saga_ids, key))


def _accepted(started: BulkStart) -> Response:
    headers = {"Location": f"/bulk/{started.job.job_id}"}
    if started.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(_job_view(started.job), HTTPStatus.ACCEPTED, headers)


async def list_bulk_jobs(request: Request) -> Response:
    query, page = read_query(BulkJobsQuery, request), JsonPage()
    cursor = await _fill(page, request.state["bulk"], query.cursor, query.limit)
    return page.to_response(
        "jobs", {"next_cursor": cursor}, _next_link("/bulk", query.limit, cursor)
    )


async def _fill(page: JsonPage, bulk_jobs: BulkJobs, after: str | None, limit: int) -> str | None:
    """Fill the page and return its last job, or None if there are no more jobs.

    Jobs are read in small batches, because their refusals make one large.
    """
    while True:
        # One more than the page holds shows whether there is a next page.
        batch_size = min(READ_BATCH_JOBS, limit + 1 - len(page))
        jobs = await bulk_jobs.newest(after, batch_size)
        for job in jobs:
            if len(page) == limit or not await page.add(_job_view(job)):
                return after
            after = job.job_id
        if len(jobs) < batch_size:
            return None


async def bulk_job(request: Request) -> Response:
    read_query(NoQuery, request)
    return json_response(_job_view(await request.state["bulk"].get(request.path_params["job_id"])))


async def bulk_sagas(request: Request) -> Response:
    query, page = read_query(BulkSagasQuery, request), JsonPage()
    job_id, after = request.path_params["job_id"], query.cursor
    # One more than the page holds shows whether there is a next page.
    sagas = await request.state["bulk"].sagas(job_id, after, query.limit + 1, refused=query.refused)
    for saga in sagas[: query.limit]:
        if not await page.add(_saga_view(saga)):
            break
        after = saga.saga_id
    cursor = after if len(page) < len(sagas) else None
    refused = {"refused": "true"} if query.refused else {}
    link = _next_link(f"/bulk/{job_id}/sagas", query.limit, cursor, **refused)
    return page.to_response("sagas", {"next_cursor": cursor}, link)


async def cancel_bulk_job(request: Request) -> Response:
    read_query(NoQuery, request)
    job = await request.state["bulk"].cancel(request.path_params["job_id"], read_actor(request))
    return json_response(_job_view(job))


def _command(body: BulkRequest, actor: str | None) -> BulkCommand:
    """Raises InvalidRequest."""
    if body.children is not None and body.action != "abandon":
        detail = "only abandon takes children: leave it out"
        raise InvalidRequest([Finding(code="not-wanted", pointer="/children", detail=detail)])
    return BulkCommand(
        action=body.action,
        reason=body.reason,
        filter=body.filter.model_dump(mode="json", exclude_unset=True),
        actor=actor,
        children=body.children,
        name=body.name,
    )


async def _matching_sagas(listing: Listing, saga_filter: SagaFilter) -> list[str]:
    """Return the ids of all sagas that match.

    Raises TooManySagas: a job for a part of them would look like a job for all.
    """
    await listing.refresh()
    saga_ids: dict[str, None] = {}  # a saga that is parked again meanwhile is listed twice
    after = None
    while True:
        page = await listing.page(saga_filter, after, READ_BATCH_SAGAS)
        saga_ids |= dict.fromkeys(saga.saga_id for saga in page)
        if len(saga_ids) > MAX_SAGAS:
            raise TooManySagas(MAX_SAGAS)
        if len(page) < READ_BATCH_SAGAS:
            return list(saga_ids)
        after = saga_filter.cursor_after(page[-1])


def _job_view(job: BulkJob) -> dict[str, Json]:
    return {
        "job_id": job.job_id,
        **_request_view(job.request),
        "note": job.note,
        "status": job.status,
        "matched": job.matched,
        "done": job.done,
        "refused": job.refused,
        "refusals": dict(job.refusals),
        "started_at": format_time(job.started_at),
        "finished_at": None if job.finished_at is None else format_time(job.finished_at),
        "cancelled_by": job.cancelled_by,
    }


def _request_view(request: BulkCommand | None) -> dict[str, Json]:
    names = ("name", "action", "filter", "reason", "actor")
    return {name: None if request is None else getattr(request, name) for name in names}


def _saga_view(saga: BulkSaga) -> dict[str, Json]:
    return {
        "saga_id": saga.saga_id,
        "outcome": saga.outcome,
        "refusal": saga.refusal,
        "ended_at": None if saga.ended_at is None else format_time(saga.ended_at),
    }


def _next_link(path: str, limit: int, cursor: str | None, **query: str) -> dict[str, str]:
    if cursor is None:
        return {}
    parameters = urlencode({**query, "limit": limit, "cursor": cursor})
    return {"Link": f'<{path}?{parameters}>; rel="next"'}


ROUTES: Final = (
    RouteSpec(
        method="POST",
        path="/bulk",
        endpoint=bulk,
        summary="Run a command on all sagas that match a filter, or count them",
        body=BulkRequest,
        query=NoQuery,
        headers=("Idempotency-Key", ACTOR_HEADER),
        responses={
            200: ResponseSpec("The number of sagas that a dry run matches.", BulkDryRunResponse),
            202: ResponseSpec(
                "A job to follow.", BulkJobResponse, headers=("Idempotency-Replayed", "Location")
            ),
        },
        problems=(
            ProjectionUnavailable,
            TooManySagas,
            InvalidIdempotencyKey,
            IdempotencyKeyReused,
        ),
    ),
    RouteSpec(
        method="GET",
        path="/bulk",
        endpoint=list_bulk_jobs,
        summary="The bulk jobs of all nodes, newest first",
        query=BulkJobsQuery,
        responses={200: ResponseSpec("A page.", BulkJobsResponse, headers=("Link",))},
    ),
    RouteSpec(
        method="GET",
        path="/bulk/{job_id}",
        endpoint=bulk_job,
        summary="The progress of a bulk job",
        query=NoQuery,
        responses={200: ResponseSpec("The progress so far.", BulkJobResponse)},
        problems=(BulkJobNotFound,),
    ),
    RouteSpec(
        method="GET",
        path="/bulk/{job_id}/sagas",
        endpoint=bulk_sagas,
        summary="The outcome of each saga of a bulk job",
        query=BulkSagasQuery,
        responses={200: ResponseSpec("A page.", BulkSagasResponse, headers=("Link",))},
        problems=(BulkJobNotFound,),
    ),
    RouteSpec(
        method="POST",
        path="/bulk/{job_id}/cancel",
        endpoint=cancel_bulk_job,
        summary="Stop a bulk job: sagas that have not got the command do not get it",
        query=NoQuery,
        headers=(ACTOR_HEADER,),
        responses={
            200: ResponseSpec("The job; one that was done already is unchanged.", BulkJobResponse)
        },
        problems=(BulkJobNotFound,),
    ),
)
