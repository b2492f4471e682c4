"""Starting sagas, asking for them, and undoing them."""

from __future__ import annotations

from typing import Final

from ..fsm.errors import CorruptStream, DrivenByParent, InvalidInput, NoSuchStep, NotCompensatable
from ..fsm.runtime.errors import (
    IdempotencyKeyReused,
    InDoubt,
    NotServing,
    SagaNotFound,
    VersionMoved,
    VersionNotReached,
)
from ..projections.errors import ProjectionUnavailable
from .actor import ACTOR
from .answers import (
    CompensationAnswer,
    EventsAnswer,
    OutputAnswer,
    SagaAnswer,
    SagasAnswer,
    SagaStatusAnswer,
    StartAnswer,
)
from .endpoints.compensate import compensate
from .endpoints.listing import list_sagas
from .endpoints.sagas import events, everything, output, status
from .endpoints.start import start
from .errors import (
    InvalidIdempotencyKey,
    NoOutput,
    NoSuchVersion,
    StartUnconfirmed,
    UnknownSagaType,
)
from .models import (
    CompensateQuery,
    EventsQuery,
    NoQuery,
    OutputQuery,
    SagasQuery,
    StartRequest,
    StatusQuery,
    VerbRequest,
)
from .route import Reply, RouteSpec

ONE_SAGA: Final = (SagaNotFound, CorruptStream, NotServing)
TAG: Final = ("ETag",)
PAGED: Final = ("Link",)
STARTED: Final = ("Idempotency-Replayed", "Location", "Preference-Applied")
UNDONE: Final = ("ETag", "Location", "Preference-Applied")
LATER: Final = ("Retry-After",)
NOT_MODIFIED: Final = Reply("The client has this version.", media_type=None, headers=TAG)

SAGA_ROUTES: Final = (
    RouteSpec(
        method="POST",
        path="/sagas/start",
        endpoint=start,
        summary="Start a saga, and wait for it to rest",
        query=NoQuery,
        body=StartRequest,
        headers=("Idempotency-Key", "Prefer", ACTOR),
        replies={
            200: Reply("It rests: completed, compensated or parked.", StartAnswer, headers=STARTED),
            202: Reply("It is recorded and goes on.", StartAnswer, headers=(*STARTED, *LATER)),
        },
        problems=(
            UnknownSagaType,
            InvalidInput,
            InvalidIdempotencyKey,
            IdempotencyKeyReused,
            NotServing,
            StartUnconfirmed,
        ),
    ),
    RouteSpec(
        method="GET",
        path="/sagas",
        endpoint=list_sagas,
        summary="Sagas, newest first; the parked oldest first",
        query=SagasQuery,
        replies={200: Reply("A page; the next one is in Link.", SagasAnswer, headers=PAGED)},
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}",
        endpoint=everything,
        summary="Everything about a saga",
        query=NoQuery,
        headers=("If-None-Match",),
        replies={200: Reply("As of now.", SagaAnswer, headers=TAG), 304: NOT_MODIFIED},
        problems=ONE_SAGA,
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/status",
        endpoint=status,
        summary="The status of a saga, now, then, or from a version on",
        query=StatusQuery,
        headers=("If-None-Match", "Prefer"),
        replies={
            200: Reply("The status.", SagaStatusAnswer, headers=(*TAG, "Preference-Applied")),
            304: NOT_MODIFIED,
        },
        problems=(*ONE_SAGA, NoSuchVersion, VersionNotReached),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/steps/{step}/output",
        endpoint=output,
        summary="The output of a step, however large",
        query=OutputQuery,
        replies={200: Reply("The output.", OutputAnswer)},
        problems=(*ONE_SAGA, NoSuchStep, NoOutput, NoSuchVersion),
    ),
    RouteSpec(
        method="POST",
        path="/sagas/{saga_id}/compensate",
        endpoint=compensate,
        summary="Undo a saga, or say which calls that would make",
        body=VerbRequest,
        body_required=False,
        query=CompensateQuery,
        headers=("If-Match", "Prefer", ACTOR),
        replies={
            200: Reply("It rests; or the plan of a dry run.", CompensationAnswer, headers=UNDONE),
            202: Reply("It compensates.", SagaStatusAnswer, headers=(*UNDONE, *LATER)),
        },
        problems=(*ONE_SAGA, NotCompensatable, DrivenByParent, VersionMoved, InDoubt),
    ),
    RouteSpec(
        method="GET",
        path="/sagas/{saga_id}/events",
        endpoint=events,
        summary="The audit trail of a saga",
        query=EventsQuery,
        replies={200: Reply("A page; the next one is in Link.", EventsAnswer, headers=PAGED)},
        problems=ONE_SAGA,
    ),
)
