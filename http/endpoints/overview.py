"""All sagas and all participants at once: for people who look, and for what collects metrics."""

from __future__ import annotations

from collections import Counter

from starlette.responses import Response

from ...fsm.runtime.breaker import Breaker
from ...fsm.runtime.traffic import Traffic
from ...fsm.strict_json import Json
from ...projections.stats import stats_view
from ..metrics import CONTENT_TYPE, exposition
from ..models import NoQuery, query_of
from ..reply import json_reply
from ..request import Request
from ..services import Services


async def stats(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    now = services.orchestrator.clock.now()
    return json_reply(stats_view(await services.statistics.stats(now)))


async def participants(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    executor = services.executor
    named = sorted({*services.participants, *executor.traffic})
    views: list[Json] = [
        {
            "name": name,
            "url": services.participants.get(name),
            **_traffic_view(executor.traffic.get(name)),
            "breaker": executor.breakers.get(name, Breaker()).state.value,
        }
        for name in named
    ]
    return json_reply({"participants": views})


async def metrics(request: Request, services: Services) -> Response:
    owed = services.orchestrator.driver.callbacks.owed()
    text = await exposition(services.statistics, services.executor, services.event_counts, owed)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _traffic_view(traffic: Traffic | None) -> dict[str, Json]:
    if traffic is None:
        return {"in_flight": 0, "waiting": 0, "outcomes": {}}
    outcomes: Counter[str] = Counter()
    for (_, outcome), calls in traffic.outcomes.items():
        outcomes[outcome.value] += calls
    turns = traffic.turns
    return {"in_flight": turns.taken, "waiting": turns.waiting, "outcomes": dict(outcomes)}
