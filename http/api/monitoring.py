"""All sagas, events and participants at once: statistics, the event feed, and metrics."""

from __future__ import annotations

from collections import Counter
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from ...fsm.definitions.findings import Finding
from ...fsm.formats.strict_json import Json
from ...fsm.runtime.calls.circuit_breaker import CircuitBreaker
from ...fsm.runtime.calls.participant_calls import ParticipantCalls
from ...projections.errors import InvalidCursor, ProjectionUnavailable
from ...projections.feed import FeedCursor, FeedFilter, FeedPage
from ...projections.stats import stats_view
from ..state import Request
from ..wire.errors import InvalidQuery
from ..wire.json_response import JsonPage, json_response
from ..wire.requests import FeedQuery, NoQuery, read_query
from ..wire.responses import FeedResponse, ParticipantsResponse, StatsResponse
from ..wire.route import ResponseSpec, RouteSpec
from .metrics import CONTENT_TYPE, render_metrics

START: Final = FeedCursor()


async def all_events(request: Request) -> Response:
    query = read_query(FeedQuery, request)
    feed_filter, page = FeedFilter(type=query.type, saga_type=query.saga_type), JsonPage()
    end = await request.state["feed"].page(feed_filter, _read_cursor(query), query.limit, page.add)
    return page.to_response("events", {"next": end.next.encode()}, _next_link(query, end))


def _read_cursor(query: FeedQuery) -> FeedCursor:
    """Raises InvalidQuery."""
    if query.after is None:
        return START
    try:
        return FeedCursor.decode(query.after)
    except InvalidCursor as error:
        finding = Finding(code="bad-cursor", pointer="/after", detail=str(error))
        raise InvalidQuery([finding]) from error


def _next_link(query: FeedQuery, page: FeedPage) -> dict[str, str]:
    if not page.has_more:
        return {}
    parameters = {**query.model_dump(exclude_none=True), "after": page.next.encode()}
    return {"Link": f'</events?{urlencode(parameters)}>; rel="next"'}


async def stats(request: Request) -> Response:
    read_query(NoQuery, request)
    now = request.state["orchestrator"].clock.now()
    return json_response(stats_view(await request.state["statistics"].stats(now)))


async def participants(request: Request) -> Response:
    read_query(NoQuery, request)
    executor, urls = request.state["executor"], request.state["participants"]
    views: list[Json] = [
        {
            "name": name,
            "url": urls.get(name),
            **_calls_view(executor.participant_calls.get(name)),
            "breaker": executor.breakers.get(name, CircuitBreaker()).state.value,
        }
        for name in sorted({*urls, *executor.participant_calls})
    ]
    return json_response({"participants": views})


def _calls_view(calls: ParticipantCalls | None) -> dict[str, Json]:
    if calls is None:
        return {"in_flight": 0, "waiting": 0, "outcomes": {}}
    outcomes: Counter[str] = Counter()
    for (_, outcome), number in calls.outcomes.items():
        outcomes[outcome.value] += number
    return {"in_flight": calls.in_flight, "waiting": calls.queued, "outcomes": dict(outcomes)}


async def metrics(request: Request) -> Response:
    state = request.state
    owed = state["orchestrator"].pending_webhooks()
    text = await render_metrics(state["statistics"], state["executor"], state["event_counts"], owed)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/events",
        endpoint=all_events,
        summary="The events of all sagas, by cursor",
        query=FeedQuery,
        responses={
            200: ResponseSpec(
                "A page. If it has a Link it is not the last, however short.",
                FeedResponse,
                headers=("Link",),
            )
        },
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/stats",
        endpoint=stats,
        summary="Statistics: how many sagas there are, how long they take, and what fails",
        query=NoQuery,
        responses={
            200: ResponseSpec(
                "Counts of all sagas; durations and failures of the newest.", StatsResponse
            )
        },
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/participants",
        endpoint=participants,
        summary="The participants: their URLs, and the outcomes of their calls",
        query=NoQuery,
        responses={
            200: ResponseSpec(
                "The participants, with the calls of this process.", ParticipantsResponse
            )
        },
    ),
    RouteSpec(
        method="GET",
        path="/metrics",
        endpoint=metrics,
        summary="Metrics for Prometheus",
        responses={200: ResponseSpec("In the text format.", media_type="text/plain")},
    ),
)
