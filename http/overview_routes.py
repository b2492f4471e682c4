"""Routes about all sagas at once, and the page that is made of them."""

from __future__ import annotations

from typing import Final

from ..projections.errors import ProjectionUnavailable
from .api.dashboard import operators_page
from .api.monitoring import all_events, metrics, participants, stats
from .wire.requests import FeedQuery, NoQuery
from .wire.responses import FeedResponse, ParticipantsResponse, StatsResponse
from .wire.route import ResponseSpec, RouteSpec

OVERVIEW_ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/events",
        endpoint=all_events,
        summary="The whole log, by cursor",
        query=FeedQuery,
        responses={
            200: ResponseSpec(
                "A page. Before the end it may be short, and has a Link.",
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
        summary="How many sagas there are, how long they take, and what fails",
        query=NoQuery,
        responses={200: ResponseSpec("Counts of all; the rest of the newest.", StatsResponse)},
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/participants",
        endpoint=participants,
        summary="Who is called, where, and with what success",
        query=NoQuery,
        responses={200: ResponseSpec("As this process sees them.", ParticipantsResponse)},
    ),
    RouteSpec(
        method="GET",
        path="/metrics",
        endpoint=metrics,
        summary="For Prometheus",
        responses={200: ResponseSpec("In its text format.", media_type="text/plain")},
    ),
    RouteSpec(
        method="GET",
        path="/",
        endpoint=operators_page,
        summary="The operators' page",
        responses={200: ResponseSpec("A page that needs nothing else.", media_type="text/html")},
    ),
)
