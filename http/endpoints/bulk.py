"""One verb for many sagas, chosen by a filter; after a dry run, as a job that can be followed."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.codec import format_time
from ...fsm.errors import Finding
from ...fsm.happening import (
    AbandonAsked,
    CancelAsked,
    CompensationAsked,
    PauseAsked,
    ResumeAsked,
    RetryAsked,
    Verb,
)
from ...fsm.runtime.bulk import BulkJob
from ...fsm.strict_json import Json
from ...projections.listing import SagaFilter
from ..actor import actor_of
from ..body import json_object
from ..errors import InvalidRequest, TooManySagas, UnknownBulkJob
from ..models import BulkRequest, NoQuery, query_of, validated
from ..reply import json_reply
from ..request import Request
from ..services import Services

PAGE: Final = 1000
MOST_SAGAS: Final = 100_000  # of one job
SHOWN: Final = 20  # saga ids of a dry run
VERBS: Final[dict[str, Callable[..., Verb]]] = {
    "compensate": CompensationAsked,
    "cancel": CancelAsked,
    "retry": RetryAsked,
    "pause": PauseAsked,
    "resume": ResumeAsked,
}


async def bulk(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    wanted = validated(BulkRequest, await json_object(request))
    verb = _verb(wanted, actor_of(request))
    saga_ids = await _matched(services, wanted.filter.as_filter())
    if wanted.dry_run:
        return json_reply({"matched": len(saga_ids), "saga_ids": saga_ids[:SHOWN]})
    job = services.bulk.start(wanted.action, verb, saga_ids)
    headers = {"Location": f"/bulk/{job.job_id}"}
    return json_reply(_view(job), HTTPStatus.ACCEPTED, headers)


def _verb(wanted: BulkRequest, actor: str | None) -> Verb:
    """Raises InvalidRequest."""
    if wanted.action == "abandon":
        return AbandonAsked(actor=actor, reason=wanted.reason, children=wanted.children)
    if wanted.children is not None:
        detail = "only abandon says what becomes of children; leave it out"
        raise InvalidRequest([Finding(code="not-wanted", pointer="/children", detail=detail)])
    return VERBS[wanted.action](actor=actor, reason=wanted.reason)


async def bulk_job(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    job = services.bulk.get(request.path_params["job_id"])
    if job is None:
        raise UnknownBulkJob
    return json_reply(_view(job))


async def _matched(services: Services, wanted: SagaFilter) -> list[str]:
    """All of them. Raises TooManySagas: part of what was asked for would look like all of it."""
    await services.listing.refresh()
    found: dict[str, None] = {}  # one that is parked again meanwhile comes a second time
    after = None
    while True:
        page = await services.listing.page(wanted, after, PAGE)
        found |= dict.fromkeys(one.saga_id for one in page)
        if len(found) > MOST_SAGAS:
            raise TooManySagas(MOST_SAGAS)
        if len(page) < PAGE:
            return list(found)
        after = wanted.place_of(page[-1])


def _view(job: BulkJob) -> dict[str, Json]:
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
