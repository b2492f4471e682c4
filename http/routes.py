"""Every route, once: the server is built from this table, and so is `/openapi.json`."""

from __future__ import annotations

from typing import Final

from ..fsm.errors import CorruptStream, InvalidDefinition, InvalidInput, NotCompensatable
from ..fsm.language import DefinitionModel
from ..fsm.runtime.errors import (
    DefinitionExists,
    DefinitionNotFound,
    IdempotencyKeyReused,
    NotServing,
    SagaNotFound,
    VersionNotReached,
)
from ..projections.errors import ProjectionUnavailable
from .answers import (
    AuditAnswer,
    CompensationAnswer,
    DefinitionsAnswer,
    EventsAnswer,
    FindingsAnswer,
    HealthAnswer,
    RegisteredAnswer,
    SagaAnswer,
    SagasAnswer,
    SagaStatusAnswer,
    StartAnswer,
)
from .body import JSON, YAML
from .endpoints.audit import verify
from .endpoints.compensate import compensate
from .endpoints.definitions import (
    get_definition,
    list_definitions,
    put_definition,
    verify_definition,
)
from .endpoints.documents import docs, openapi
from .endpoints.health import health, live, ready
from .endpoints.listing import list_sagas
from .endpoints.sagas import events, everything, status
from .endpoints.start import start
from .errors import (
    InvalidIdempotencyKey,
    NoSuchVersion,
    StartUnconfirmed,
    UnknownSagaType,
    VersionMismatch,
)
from .models import (
    CompensateQuery,
    CompensateRequest,
    EventsQuery,
    NoQuery,
    SagasQuery,
    StartRequest,
    StatusQuery,
)
from .route import Reply, RouteSpec

ONE_SAGA: Final = (SagaNotFound, CorruptStream, NotServing)
DOCUMENT: Final = (JSON, *YAML)
TAG: Final = ("ETag",)
PAGED: Final = ("Link",)
STARTED: Final = ("Idempotency-Replayed", "Location", "Preference-Applied")
UNDONE: Final = ("ETag", "Location", "Preference-Applied")
LATER: Final = ("Retry-After",)
NOT_MODIFIED: Final = Reply("The client has this version.", media_type=None, headers=TAG)
WELL: Final = Reply("All is well.", HealthAnswer)
UNWELL: Final = Reply("Something is not well.", HealthAnswer)

ROUTES: Final = (
    RouteSpec(
        method="POST",
        path="/sagas/start",
        endpoint=start,
        summary="Start a saga, and wait for it to rest",
        query=NoQuery,
        body=StartRequest,
        headers=("Idempotency-Key", "Prefer"),
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
        summary="Sagas, newest first",
        query=SagasQuery,
        replies={200: Reply("A page; the next one is in Link.", SagasAnswer, headers=PAGED)},
        problems=(NotServing,),
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
        method="POST",
        path="/sagas/{saga_id}/compensate",
        endpoint=compensate,
        summary="Undo a saga, or say which calls that would make",
        body=CompensateRequest,
        body_required=False,
        query=CompensateQuery,
        headers=("If-Match", "Prefer"),
        replies={
            200: Reply("It rests; or the plan of a dry run.", CompensationAnswer, headers=UNDONE),
            202: Reply("It compensates.", SagaStatusAnswer, headers=(*UNDONE, *LATER)),
        },
        problems=(*ONE_SAGA, NotCompensatable, VersionMismatch),
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
    RouteSpec(
        method="GET",
        path="/audit/verify",
        endpoint=verify,
        summary="Whether the log is what was written; reads all of it",
        replies={200: Reply("Valid, or the first event that is not.", AuditAnswer)},
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/definitions",
        endpoint=list_definitions,
        summary="All definitions, in all versions",
        query=NoQuery,
        replies={200: Reply("In order of name and version.", DefinitionsAnswer)},
        problems=(NotServing,),
    ),
    RouteSpec(
        method="POST",
        path="/definitions/verify",
        endpoint=verify_definition,
        summary="Look a definition over without registering it",
        query=NoQuery,
        body=DefinitionModel,
        body_types=DOCUMENT,
        replies={200: Reply("What its author should know.", FindingsAnswer)},
    ),
    RouteSpec(
        method="PUT",
        path="/definitions/{name}/{version}",
        endpoint=put_definition,
        summary="Register a version of a definition, for ever",
        query=NoQuery,
        body=DefinitionModel,
        body_types=DOCUMENT,
        replies={
            200: Reply("It was there already, the same.", RegisteredAnswer, headers=("Location",)),
            201: Reply("It is registered.", RegisteredAnswer, headers=("Location",)),
        },
        problems=(DefinitionExists, InvalidDefinition, NotServing),
    ),
    RouteSpec(
        method="GET",
        path="/definitions/{name}/{version}",
        endpoint=get_definition,
        summary="One version of a definition",
        query=NoQuery,
        replies={200: Reply("The document as it was registered.", DefinitionModel)},
        problems=(DefinitionNotFound, NotServing),
    ),
    RouteSpec(
        method="GET",
        path="/health",
        endpoint=health,
        summary="Is the service well, and what it depends on",
        replies={200: WELL, 503: UNWELL},
    ),
    RouteSpec(
        method="GET",
        path="/livez",
        endpoint=live,
        summary="Does the process live; asks nobody",
        replies={200: WELL},
    ),
    RouteSpec(
        method="GET",
        path="/readyz",
        endpoint=ready,
        summary="Can it serve; answers within half a second",
        replies={200: WELL, 503: UNWELL},
    ),
    RouteSpec(
        method="GET",
        path="/openapi.json",
        endpoint=openapi,
        summary="This interface as OpenAPI 3.1",
        replies={200: Reply("The document.")},
    ),
    RouteSpec(
        method="GET",
        path="/docs",
        endpoint=docs,
        summary="This interface as a page to read",
        replies={200: Reply("A page without scripts.", media_type="text/html")},
    ),
)
