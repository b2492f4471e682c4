"""All sagas, events and participants at once: for people, monitoring and exports."""

from __future__ import annotations

from collections import Counter
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from ...fsm.definitions.findings import Finding
from ...fsm.formats.strict_json import Json
from ...fsm.runtime.calls.circuit_breaker import CircuitBreaker
from ...fsm.runtime.metrics import CallMetrics
from ...projections.errors import InvalidCursor
from ...projections.feed import FeedCursor, FeedFilter, FeedPage
from ...projections.stats import stats_view
from ..services import AppContext
from ..wire.errors import InvalidQuery
from ..wire.json_response import JsonPage, json_response
from ..wire.request import Request
from ..wire.requests import FeedQuery, NoQuery, read_query
from .metrics import CONTENT_TYPE, render_metrics


async def stats(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    now = services.orchestrator.clock.now()
    return json_response(stats_view(await services.statistics.stats(now)))


async def participants(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    executor = services.executor
    named = sorted({*services.participants, *executor.metrics})
    views: list[Json] = [
        {
            "name": name,
            "url": services.participants.get(name),
            **_calls_view(executor.metrics.get(name)),
            "breaker": executor.breakers.get(name, CircuitBreaker()).state.value,
        }
        for name in named
    ]
    return json_response({"participants": views})


async def metrics(request: Request, services: AppContext) -> Response:
    owed = services.orchestrator.driver.webhooks.pending()
    text = await render_metrics(services.statistics, services.executor, services.event_counts, owed)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _calls_view(traffic: CallMetrics | None) -> dict[str, Json]:
    if traffic is None:
        return {"in_flight": 0, "waiting": 0, "outcomes": {}}
    outcomes: Counter[str] = Counter()
    for (_, outcome), calls in traffic.outcomes.items():
        outcomes[outcome.value] += calls
    turns = traffic.semaphore
    return {"in_flight": turns.acquired, "waiting": turns.waiting, "outcomes": dict(outcomes)}


START: Final = FeedCursor()


async def all_events(request: Request, services: AppContext) -> Response:
    query = read_query(FeedQuery, request)
    wanted, entries = FeedFilter(type=query.type, saga_type=query.saga_type), JsonPage()
    page = await services.feed.page(wanted, _read_cursor(query), query.limit, entries.add)
    return entries.to_response("events", {"next": page.next.encode()}, _next_link(query, page))


def _read_cursor(query: FeedQuery) -> FeedCursor:
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
    given = query.model_dump(exclude_none=True)
    return {"Link": f'</events?{urlencode({**given, "after": page.next.encode()})}>; rel="next"'}
