"""One verb for many sagas, chosen by a filter; after a dry run, as a job that can be followed."""

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
from ...projections.listing import SagaFilter
from ..services import AppContext
from ..wire.body import read_json_object
from ..wire.errors import BulkJobNotFound, InvalidRequest, TooManySagas
from ..wire.headers import read_actor
from ..wire.json_response import json_response
from ..wire.request import Request
from ..wire.requests import BulkRequest, NoQuery, read_query, validate_body

READ_BATCH_SAGAS: Final = 1000
MAX_SAGAS: Final = 100_000  # of one job
MAX_DRY_RUN_IDS: Final = 20  # saga ids of a dry run
COMMANDS: Final[dict[str, Callable[..., OperatorCommand]]] = {
    "compensate": Compensate,
    "cancel": Cancel,
    "retry": Retry,
    "pause": Pause,
    "resume": Resume,
}


async def bulk(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    wanted = validate_body(BulkRequest, await read_json_object(request))
    verb = _command(wanted, read_actor(request))
    saga_ids = await _matching_sagas(services, wanted.filter.to_filter())
    if wanted.dry_run:
        return json_response({"matched": len(saga_ids), "saga_ids": saga_ids[:MAX_DRY_RUN_IDS]})
    job = services.bulk.start(wanted.action, verb, saga_ids)
    headers = {"Location": f"/bulk/{job.job_id}"}
    return json_response(_job_view(job), HTTPStatus.ACCEPTED, headers)


def _command(wanted: BulkRequest, actor: str | None) -> OperatorCommand:
    """Raises InvalidRequest."""
    if wanted.action == "abandon":
        return Abandon(actor=actor, reason=wanted.reason, children=wanted.children)
    if wanted.children is not None:
        detail = "only abandon says what becomes of children; leave it out"
        raise InvalidRequest([Finding(code="not-wanted", pointer="/children", detail=detail)])
    return COMMANDS[wanted.action](actor=actor, reason=wanted.reason)


async def bulk_job(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    job = services.bulk.get(request.path_params["job_id"])
    if job is None:
        raise BulkJobNotFound
    return json_response(_job_view(job))


async def _matching_sagas(services: AppContext, wanted: SagaFilter) -> list[str]:
    """All of them. Raises TooManySagas: part of what was asked for would look like all of it."""
    await services.listing.refresh()
    found: dict[str, None] = {}  # one that is parked again meanwhile comes a second time
    after = None
    while True:
        page = await services.listing.page(wanted, after, READ_BATCH_SAGAS)
        found |= dict.fromkeys(one.saga_id for one in page)
        if len(found) > MAX_SAGAS:
            raise TooManySagas(MAX_SAGAS)
        if len(page) < READ_BATCH_SAGAS:
            return list(found)
        after = wanted.cursor_after(page[-1])


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
