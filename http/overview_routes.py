"""Routes about all sagas at once, and the page that is made of them."""

from __future__ import annotations

from typing import Final

from ..projections.errors import ProjectionUnavailable
from .endpoints.feed import all_events
from .endpoints.overview import metrics, participants, stats
from .endpoints.page import operators_page
from .models import FeedQuery, NoQuery
from .overview_answers import FeedAnswer, ParticipantsAnswer, StatsAnswer
from .route import Reply, RouteSpec

OVERVIEW_ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/events",
        endpoint=all_events,
        summary="The whole log, by cursor",
        query=FeedQuery,
        replies={
            200: Reply(
                "A page. Before the end it may be short, and has a Link.",
                FeedAnswer,
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
        replies={200: Reply("Counts of all; the rest of the newest.", StatsAnswer)},
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/participants",
        endpoint=participants,
        summary="Who is called, where, and with what success",
        query=NoQuery,
        replies={200: Reply("As this process sees them.", ParticipantsAnswer)},
    ),
    RouteSpec(
        method="GET",
        path="/metrics",
        endpoint=metrics,
        summary="For Prometheus",
        replies={200: Reply("In its text format.", media_type="text/plain")},
    ),
    RouteSpec(
        method="GET",
        path="/",
        endpoint=operators_page,
        summary="The operators' page",
        replies={200: Reply("A page that needs nothing else.", media_type="text/html")},
    ),
)
