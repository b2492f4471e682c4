"""Starting sagas, asking for them, and undoing them."""

from __future__ import annotations

from typing import Final

from ..fsm.definitions.findings import InvalidInput
from ..fsm.errors import CorruptStream, DrivenByParent, NotCompensatable, StepNotFound
from ..fsm.runtime.errors import (
    IdempotencyKeyReused,
    OutcomeUnknown,
    SagaNotFound,
    Unavailable,
    VersionConflict,
    VersionNotReached,
)
from ..projections.errors import ProjectionUnavailable
from .api.operations import compensate
from .api.sagas import events, everything, list_sagas, output, status
from .api.start import start
from .wire.errors import (
    InvalidIdempotencyKey,
    OutputNotFound,
    SagaTypeNotFound,
    SagaVersionNotFound,
    StartUnconfirmed,
)
from .wire.headers import ACTOR_HEADER
from .wire.requests import (
    CompensateQuery,
    EventsQuery,
    NoQuery,
    OperatorRequest,
    OutputQuery,
    SagasQuery,
    StartRequest,
    StatusQuery,
)
from .wire.responses import (
    CompensateResponse,
    EventsResponse,
    OutputResponse,
    SagaResponse,
    SagasResponse,
    SagaStatusResponse,
    StartResponse,
)
from .wire.route import ResponseSpec, RouteSpec

ONE_SAGA: Final = (SagaNotFound, CorruptStream, Unavailable)
TAG: Final = ("ETag",)
PAGED: Final = ("Link",)
STARTED: Final = ("Idempotency-Replayed", "Location", "Preference-Applied")
UNDONE: Final = ("ETag", "Location", "Preference-Applied")
LATER: Final = ("Retry-After",)
NOT_MODIFIED: Final = ResponseSpec("The client has this version.", media_type=None, headers=TAG)

SAGA_ROUTES: Final = (
    RouteSpec(
        method="POST",
        path="/sagas/start",
        endpoint=start,
        summary="Start a saga, and wait for it to rest",
        query=NoQuery,
        body=StartRequest,
        headers=("Idempotency-Key", "Prefer", ACTOR_HEADER),
        responses={
            200: ResponseSpec(
                "It rests: completed, compensated or parked.", StartResponse, headers=STARTED
            ),
            202: ResponseSpec(
                "It is recorded and goes on.", StartResponse, headers=(*STARTED, *LATER)
            ),
        },
        problems=(
            SagaTypeNotFound,
            InvalidInput,
            InvalidIdempotencyKey,
            IdempotencyKeyReused,
            Unavailable,
            StartUnconfirmed,
        ),
    ),
    RouteSpec(
        method="GET",
        path="/sagas",
        endpoint=list_sagas,
        summary="Sagas, newest first; the parked oldest first",
        query=SagasQuery,
        responses={
            200: ResponseSpec("A page; the next one is in Link.", SagasResponse, headers=PAGED)
        },
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}",
        endpoint=everything,
        summary="Everything about a saga",
        query=NoQuery,
        headers=("If-None-Match",),
        responses={200: ResponseSpec("As of now.", SagaResponse, headers=TAG), 304: NOT_MODIFIED},
        problems=ONE_SAGA,
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/status",
        endpoint=status,
        summary="The status of a saga, now, then, or from a version on",
        query=StatusQuery,
        headers=("If-None-Match", "Prefer"),
        responses={
            200: ResponseSpec(
                "The status.", SagaStatusResponse, headers=(*TAG, "Preference-Applied")
            ),
            304: NOT_MODIFIED,
        },
        problems=(*ONE_SAGA, SagaVersionNotFound, VersionNotReached),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/steps/{step}/output",
        endpoint=output,
        summary="The output of a step, however large",
        query=OutputQuery,
        responses={200: ResponseSpec("The output.", OutputResponse)},
        problems=(*ONE_SAGA, StepNotFound, OutputNotFound, SagaVersionNotFound),
    ),
    RouteSpec(
        method="POST",
        path="/sagas/{saga_id}/compensate",
        endpoint=compensate,
        summary="Undo a saga, or say which calls that would make",
        body=OperatorRequest,
        body_required=False,
        query=CompensateQuery,
        headers=("If-Match", "Prefer", ACTOR_HEADER),
        responses={
            200: ResponseSpec(
                "It rests; or the plan of a dry run.", CompensateResponse, headers=UNDONE
            ),
            202: ResponseSpec("It compensates.", SagaStatusResponse, headers=(*UNDONE, *LATER)),
        },
        problems=(*ONE_SAGA, NotCompensatable, DrivenByParent, VersionConflict, OutcomeUnknown),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/events",
        endpoint=events,
        summary="The audit trail of a saga",
        query=EventsQuery,
        responses={
            200: ResponseSpec("A page; the next one is in Link.", EventsResponse, headers=PAGED)
        },
        problems=ONE_SAGA,
    ),
)
