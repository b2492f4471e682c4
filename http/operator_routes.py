"""What people and participants do to a saga that is there already, one or many."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from ..fsm.errors import (
    ChildrenUnderWay,
    DrivenByParent,
    NotAllowed,
    NotCompensatable,
    StepNotFound,
    TooManySignals,
    UnknownSignal,
)
from ..fsm.runtime.errors import OutcomeUnknown, VersionConflict
from ..projections.errors import ProjectionUnavailable
from .api.bulk import bulk, bulk_job
from .api.operations import abandon, cancel, pause, resolve, resume, retry, signal, skip
from .api.step_callbacks import complete, fail
from .saga_routes import LATER, ONE_SAGA, UNDONE
from .wire.errors import (
    BulkJobNotFound,
    InvalidIdempotencyKey,
    InvalidSignalName,
    TooManySagas,
    WrongCallbackToken,
)
from .wire.headers import ACTOR_HEADER
from .wire.requests import (
    AbandonRequest,
    BulkRequest,
    CompleteRequest,
    FailRequest,
    NoQuery,
    OperatorRequest,
    ResolveRequest,
    RetryRequest,
    SignalBody,
)
from .wire.responses import BulkDryRunResponse, BulkJobResponse, SagaStatusResponse
from .wire.route import Endpoint, ResponseSpec, RouteSpec

OPERATED: Final = {
    200: ResponseSpec("The status after it.", SagaStatusResponse, headers=UNDONE),
    202: ResponseSpec("It goes back because of it.", SagaStatusResponse, headers=(*UNDONE, *LATER)),
}
REPORTED: Final = {
    200: ResponseSpec("It was heard.", SagaStatusResponse, headers=("ETag", "Location"))
}


def _verb(
    path: str,
    endpoint: Endpoint,
    summary: str,
    body: type[BaseModel] = OperatorRequest,
    *,
    body_required: bool = False,
    headers: tuple[str, ...] = (),
    problems: tuple[type[Exception], ...] = (),
) -> RouteSpec:
    return RouteSpec(
        method="POST",
        path=f"/sagas/{{saga_id}}/{path}",
        endpoint=endpoint,
        summary=summary,
        body=body,
        body_required=body_required,
        query=NoQuery,
        headers=("If-Match", "Prefer", ACTOR_HEADER, *headers),
        responses=OPERATED,
        problems=(
            *ONE_SAGA,
            NotAllowed,
            DrivenByParent,
            VersionConflict,
            OutcomeUnknown,
            *problems,
        ),
    )


def _callback(path: str, endpoint: Endpoint, summary: str, body: type[BaseModel]) -> RouteSpec:
    return RouteSpec(
        method="POST",
        path=f"/sagas/{{saga_id}}/steps/{{step}}/{path}",
        endpoint=endpoint,
        summary=summary,
        body=body,
        body_required=False,
        query=NoQuery,
        headers=("Saga-Callback-Token", ACTOR_HEADER),
        responses=REPORTED,
        problems=(*ONE_SAGA, StepNotFound, WrongCallbackToken, OutcomeUnknown),
    )


OPERATOR_ROUTES: Final = (
    _verb(
        "retry",
        retry,
        "Go on after parking, or skip a back-off; of one step, or of all",
        RetryRequest,
        problems=(StepNotFound,),
    ),
    _verb("pause", pause, "Send nothing new, and let its clocks stand still"),
    _verb("resume", resume, "Go on after a pause"),
    _verb("cancel", cancel, "Undo a saga that is under way", problems=(NotCompensatable,)),
    _verb(
        "abandon",
        abandon,
        "Give up, and say what stays",
        AbandonRequest,
        body_required=True,
        problems=(ChildrenUnderWay,),
    ),
    _verb(
        "signals/{name}",
        signal,
        "A signal, kept until a step waits for it",
        SignalBody,
        headers=("Idempotency-Key",),
        problems=(InvalidIdempotencyKey, InvalidSignalName, TooManySignals, UnknownSignal),
    ),
    _verb("steps/{step}/skip", skip, "Leave out a step that is pending", problems=(StepNotFound,)),
    _verb(
        "steps/{step}/resolve",
        resolve,
        "A person's verdict on a step",
        ResolveRequest,
        body_required=True,
        problems=(StepNotFound,),
    ),
    _callback("complete", complete, "A participant says that the step is done", CompleteRequest),
    _callback("fail", fail, "A participant says that the step will not be done", FailRequest),
    RouteSpec(
        method="POST",
        path="/bulk",
        endpoint=bulk,
        summary="Ask the same of many sagas, or count them",
        body=BulkRequest,
        query=NoQuery,
        headers=(ACTOR_HEADER,),
        responses={
            200: ResponseSpec("How many a dry run matches.", BulkDryRunResponse),
            202: ResponseSpec(
                "A job that can be followed.", BulkJobResponse, headers=("Location",)
            ),
        },
        problems=(ProjectionUnavailable, TooManySagas),
    ),
    RouteSpec(
        method="GET",
        path="/bulk/{job_id}",
        endpoint=bulk_job,
        summary="How far a job for many sagas has come",
        query=NoQuery,
        responses={200: ResponseSpec("So far.", BulkJobResponse)},
        problems=(BulkJobNotFound,),
    ),
)
