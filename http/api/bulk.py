"""One operator command for many sagas, chosen by a filter: a dry run, then a job to follow."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.codec import format_time
from ...fsm.definitions.findings import Finding
from ...fsm.formats.strict_json import Json
from ...fsm.inputs import Abandon, Cancel, Compensate, OperatorCommand, Pause, Resume, Retry
from ...fsm.runtime.bulk import BulkJob
from ...projections.errors import ProjectionUnavailable
from ...projections.listing import Listing, SagaFilter
from ..state import Request
from ..wire.body import read_json_object
from ..wire.errors import BulkJobNotFound, InvalidRequest, TooManySagas
from ..wire.headers import ACTOR_HEADER, read_actor
from ..wire.json_response import json_response
from ..wire.requests import BulkRequest, NoQuery, read_query, validate_body
from ..wire.responses import BulkDryRunResponse, BulkJobResponse
from ..wire.route import ResponseSpec, RouteSpec

READ_BATCH_SAGAS: Final = 1000
MAX_SAGAS: Final = 100_000  # of one job
MAX_DRY_RUN_IDS: Final = 20
COMMANDS: Final[dict[str, Callable[..., OperatorCommand]]] = {
    "compensate": Compensate,
    "cancel": Cancel,
    "retry": Retry,
    "pause": Pause,
    "resume": Resume,
}


async def bulk(request: Request) -> Response:
    read_query(NoQuery, request)
    body = validate_body(BulkRequest, await read_json_object(request))
    command = _command(body, read_actor(request))
    saga_ids = await _matching_sagas(request.state["listing"], body.filter.to_filter())
    if body.dry_run:
        return json_response({"matched": len(saga_ids), "saga_ids": saga_ids[:MAX_DRY_RUN_IDS]})
    job = request.state["bulk"].start(body.action, command, saga_ids)
    headers = {"Location": f"/bulk/{job.job_id}"}
    return json_response(_job_view(job), HTTPStatus.ACCEPTED, headers)


async def bulk_job(request: Request) -> Response:
    read_query(NoQuery, request)
    job = request.state["bulk"].get(request.path_params["job_id"])
    if job is None:
        raise BulkJobNotFound
    return json_response(_job_view(job))


def _command(body: BulkRequest, actor: str | None) -> OperatorCommand:
    """Raises InvalidRequest."""
    if body.action == "abandon":
        return Abandon(actor=actor, reason=body.reason, children=body.children)
    if body.children is not None:
        detail = "only abandon says what becomes of children; leave it out"
        raise InvalidRequest([Finding(code="not-wanted", pointer="/children", detail=detail)])
    return COMMANDS[body.action](actor=actor, reason=body.reason)


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
        "action": job.action,
        "matched": job.matched,
        "done": job.done,
        "refused": job.refused,
        "refusals": dict(job.refusals),
        "started_at": format_time(job.started_at),
        "finished_at": None if job.finished_at is None else format_time(job.finished_at),
    }


ROUTES: Final = (
    RouteSpec(
        method="POST",
        path="/bulk",
        endpoint=bulk,
        summary="Run a command on all sagas that match a filter, or count them",
        body=BulkRequest,
        query=NoQuery,
        headers=(ACTOR_HEADER,),
        responses={
            200: ResponseSpec("How many sagas a dry run matches.", BulkDryRunResponse),
            202: ResponseSpec("A job to follow.", BulkJobResponse, headers=("Location",)),
        },
        problems=(ProjectionUnavailable, TooManySagas),
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
)
