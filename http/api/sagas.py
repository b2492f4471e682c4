"""Read sagas: one by its id, its outputs and events, and many by a filter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from ...fsm.codec import format_time
from ...fsm.definitions.findings import Finding
from ...fsm.errors import CorruptStream, StepNotFound
from ...fsm.formats.strict_json import Json, parse
from ...fsm.runtime.errors import SagaNotFound, Unavailable, VersionNotReached
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ...projections.errors import InvalidCursor, ProjectionUnavailable
from ...projections.feed import event_view
from ...projections.listing import Listing, PageCursor, SagaFilter, summary_view
from ...projections.status import OutputLink, outputs_view, status_view
from ..state import Request
from ..wire.errors import InvalidQuery, OutputNotFound, SagaVersionNotFound
from ..wire.headers import DEFAULT_WAIT, Preferences, etag, matches_if_none_match, read_preferences
from ..wire.json_response import JSON, JsonPage, json_response
from ..wire.requests import (
    EventsQuery,
    NoQuery,
    OutputQuery,
    SagasQuery,
    StatusQuery,
    read_query,
    unique_parameters,
    validate_query,
)
from ..wire.responses import (
    EventsResponse,
    OutputResponse,
    SagaResponse,
    SagasResponse,
    SagaStatusResponse,
)
from ..wire.route import ResponseSpec, RouteSpec
from ..wire.saga_response import render_view, status_response
from ..wire.types import MAX_TAG_CHARS, MAX_TAG_NAME_CHARS, MAX_TAGS

TAG_PREFIX: Final = "tag."
READ_BATCH_SAGAS: Final = 250  # of some 60 KB at most


async def status(request: Request) -> Response:
    orchestrator = request.state["orchestrator"]
    query = read_query(StatusQuery, request)
    preferences = read_preferences(request)
    saga = await _requested_state(orchestrator, _saga_id(request), query, preferences)
    headers = {"ETag": etag(saga.state.version)}
    if query.min_version is not None and preferences.wait is not None:
        headers["Preference-Applied"] = preferences.applied or ""
    if matches_if_none_match(request, saga.state.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    is_past = query.at is not None or query.at_version is not None
    return await status_response(saga, headers=headers, as_of=is_past)


async def get_saga(request: Request) -> Response:
    orchestrator = request.state["orchestrator"]
    read_query(NoQuery, request)
    saga = await orchestrator.saga(_saga_id(request))
    headers = {"ETag": etag(saga.state.version)}
    if matches_if_none_match(request, saga.state.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    view = partial(_saga_view, allowed_actions=await orchestrator.allowed_actions(saga))
    return Response(await render_view(view, saga), headers=headers, media_type=JSON)


async def output(request: Request) -> Response:
    orchestrator = request.state["orchestrator"]
    query, saga_id = read_query(OutputQuery, request), _saga_id(request)
    step: str = request.path_params["step"]
    if query.at_version is None:
        saga = await orchestrator.saga(saga_id)
    else:
        saga = await _as_of(orchestrator, saga_id, version=query.at_version)
    if step not in saga.definition.by_name:
        raise StepNotFound(saga_id, step)
    state = saga.state.step(step)
    if not state.has_output:
        raise OutputNotFound(step)
    return json_response(state.output)


async def events(request: Request) -> Response:
    orchestrator = request.state["orchestrator"]
    query, page = read_query(EventsQuery, request), JsonPage()
    saga_id, after = _saga_id(request), query.after
    entries, has_more = await orchestrator.read_events_page(saga_id, after=after, limit=query.limit)
    for entry in entries:
        if not await page.add(event_view(entry.recorded, entry.event)):
            break
        after = entry.recorded.version
    headers = {}
    if has_more or len(page) < len(entries):
        next_page = f"/sagas/{saga_id}/events?after={after}&limit={query.limit}"
        headers["Link"] = f'<{next_page}>; rel="next"'
    return page.to_response("events", {}, headers)


async def _requested_state(
    orchestrator: Orchestrator, saga_id: str, query: StatusQuery, preferences: Preferences
) -> Saga:
    """Return the saga now, as it was, or from a version on.

    Raises InvalidQuery, SagaNotFound, SagaVersionNotFound, VersionNotReached.
    """
    _check_single_selector(query)
    if query.min_version is not None:
        wait = preferences.wait_or(DEFAULT_WAIT)
        return await orchestrator.saga_from(saga_id, query.min_version, wait)
    if query.at is None and query.at_version is None:
        return await orchestrator.saga(saga_id)
    return await _as_of(orchestrator, saga_id, version=query.at_version, at=query.at)


async def _as_of(
    orchestrator: Orchestrator,
    saga_id: str,
    *,
    version: int | None = None,
    at: datetime | None = None,
) -> Saga:
    """Raises SagaNotFound, SagaVersionNotFound."""
    try:
        return await orchestrator.saga_as_of(saga_id, version=version, at=at)
    except VersionNotReached as error:
        raise SagaVersionNotFound(str(error)) from error


def _check_single_selector(query: StatusQuery) -> None:
    """Raises InvalidQuery."""
    selectors = sorted(query.model_fields_set)
    if len(selectors) > 1:
        detail = f"give only one of {', '.join(selectors)}"
        raise InvalidQuery([Finding(code="too-many", pointer=f"/{selectors[1]}", detail=detail)])


def _saga_view(
    saga: Saga, links: Mapping[str, OutputLink], *, allowed_actions: list[str]
) -> dict[str, Json]:
    state = saga.state
    return {
        **status_view(saga, links),
        "definition": parse(saga.definition.source),
        "input": state.input,
        **outputs_view(saga, links),
        "tags": dict(state.tags),
        "allowed_actions": list(allowed_actions),
        "start_at": None if state.start_at is None else format_time(state.start_at),
    }


def _saga_id(request: Request) -> str:
    saga_id: str = request.path_params["saga_id"]
    return saga_id


async def list_sagas(request: Request) -> Response:
    listing = request.state["listing"]
    parameters = unique_parameters(request)
    tags = _tags(parameters)
    query = validate_query(
        SagasQuery,
        {name: value for name, value in parameters.items() if not name.startswith(TAG_PREFIX)},
    )
    saga_filter = _filter(query, tags)
    await listing.refresh()
    page = JsonPage()
    end = await _fill(page, listing, saga_filter, _page_start(query, saga_filter), query.limit)
    cursor = None if end is None else end.encode()
    return page.to_response("sagas", {"next_cursor": cursor}, _next_link(parameters, cursor))


async def _fill(
    page: JsonPage, listing: Listing, saga_filter: SagaFilter, after: PageCursor | None, limit: int
) -> PageCursor | None:
    """Fill the page and return where it ends, or None if there are no more sagas.

    Sagas are read in small batches, because tags make one large.
    """
    while True:
        # One more than the page holds shows whether there is a next page.
        batch_size = min(READ_BATCH_SAGAS, limit + 1 - len(page))
        sagas = await listing.page(saga_filter, after, batch_size)
        for saga in sagas:
            if len(page) == limit or not await page.add(summary_view(saga)):
                return after
            after = saga_filter.cursor_after(saga)
        if len(sagas) < batch_size:
            return None


def _tags(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to filter by. Raises InvalidQuery for tags that no saga can have."""
    tags = {
        name.removeprefix(TAG_PREFIX): value
        for name, value in parameters.items()
        if name.startswith(TAG_PREFIX)
    }
    wrong = [name for name, value in tags.items() if not _is_tag(name, value)]
    if wrong or len(tags) > MAX_TAGS:
        pointer = f"/{TAG_PREFIX}{wrong[0]}" if wrong else ""
        raise InvalidQuery([Finding(code="bad-tag", pointer=pointer, detail="no saga can have it")])
    return tags


def _is_tag(name: str, value: str) -> bool:
    in_bounds = 1 <= len(name) <= MAX_TAG_NAME_CHARS and len(value) <= MAX_TAG_CHARS
    return in_bounds and "\0" not in name + value


def _filter(query: SagasQuery, tags: dict[str, str]) -> SagaFilter:
    return SagaFilter(
        saga_type=query.type,
        status=query.status,
        paused=query.paused,
        step=query.step,
        entity_id=query.entity_id,
        tags=tags,
        started_after=query.started_after,
        started_before=query.started_before,
        error=query.error,
    )


def _page_start(query: SagasQuery, saga_filter: SagaFilter) -> PageCursor | None:
    """Raises InvalidQuery."""
    if query.cursor is None:
        return None
    try:
        return PageCursor.decode(query.cursor, in_queue=saga_filter.is_parked_queue)
    except InvalidCursor as error:
        finding = Finding(code="bad-cursor", pointer="/cursor", detail=str(error))
        raise InvalidQuery([finding]) from error


def _next_link(parameters: Mapping[str, str], cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    return {"Link": f'</sagas?{urlencode({**parameters, "cursor": cursor})}>; rel="next"'}


SAGA_PROBLEMS: Final = (SagaNotFound, CorruptStream, Unavailable)
NOT_MODIFIED: Final = ResponseSpec(
    "The client has this version.", media_type=None, headers=("ETag",)
)
PAGE: Final = "A page; Link leads to the next one."

ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/status",
        endpoint=status,
        summary="The status of a saga: now, as it was, or from a version on",
        query=StatusQuery,
        headers=("If-None-Match", "Prefer"),
        responses={
            200: ResponseSpec(
                "The status.", SagaStatusResponse, headers=("ETag", "Preference-Applied")
            ),
            304: NOT_MODIFIED,
        },
        problems=(*SAGA_PROBLEMS, SagaVersionNotFound, VersionNotReached),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}",
        endpoint=get_saga,
        summary="A saga with its definition, input, outputs and allowed actions",
        query=NoQuery,
        headers=("If-None-Match",),
        responses={
            200: ResponseSpec("The saga as it is now.", SagaResponse, headers=("ETag",)),
            304: NOT_MODIFIED,
        },
        problems=SAGA_PROBLEMS,
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/steps/{step}/output",
        endpoint=output,
        summary="The output of a step, however large",
        query=OutputQuery,
        responses={200: ResponseSpec("The output.", OutputResponse)},
        problems=(*SAGA_PROBLEMS, StepNotFound, OutputNotFound, SagaVersionNotFound),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/events",
        endpoint=events,
        summary="The audit trail of a saga",
        query=EventsQuery,
        responses={200: ResponseSpec(PAGE, EventsResponse, headers=("Link",))},
        problems=SAGA_PROBLEMS,
    ),
    RouteSpec(
        method="GET",
        path="/sagas",
        endpoint=list_sagas,
        summary="Sagas, newest first; parked sagas in the order of their parking",
        query=SagasQuery,
        responses={200: ResponseSpec(PAGE, SagasResponse, headers=("Link",))},
        problems=(ProjectionUnavailable,),
    ),
)
