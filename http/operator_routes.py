"""What people and participants do to a saga that is there already, one or many."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from ..fsm.errors import (
    ChildrenUnderWay,
    DrivenByParent,
    NoSuchStep,
    NotAllowed,
    NotCompensatable,
    TooManySignals,
    UnknownSignal,
)
from ..fsm.runtime.errors import InDoubt, VersionMoved
from ..projections.errors import ProjectionUnavailable
from .actor import ACTOR
from .answers import BulkJobAnswer, BulkMatchAnswer, SagaStatusAnswer
from .endpoints.bulk import bulk, bulk_job
from .endpoints.callbacks import complete, fail
from .endpoints.verbs import abandon, cancel, pause, resolve, resume, retry, signal, skip
from .errors import (
    InvalidIdempotencyKey,
    InvalidSignalName,
    TooManySagas,
    UnknownBulkJob,
    WrongCallbackToken,
)
from .models import (
    AbandonRequest,
    BulkRequest,
    CompleteRequest,
    FailRequest,
    NoQuery,
    ResolveRequest,
    RetryRequest,
    SignalBody,
    VerbRequest,
)
from .route import Endpoint, Reply, RouteSpec
from .saga_routes import LATER, ONE_SAGA, UNDONE

OPERATED: Final = {
    200: Reply("The status after it.", SagaStatusAnswer, headers=UNDONE),
    202: Reply("It goes back because of it.", SagaStatusAnswer, headers=(*UNDONE, *LATER)),
}
REPORTED: Final = {200: Reply("It was heard.", SagaStatusAnswer, headers=("ETag", "Location"))}


def _verb(
    path: str,
    endpoint: Endpoint,
    summary: str,
    body: type[BaseModel] = VerbRequest,
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
        headers=("If-Match", "Prefer", ACTOR, *headers),
        replies=OPERATED,
        problems=(*ONE_SAGA, NotAllowed, DrivenByParent, VersionMoved, InDoubt, *problems),
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
        headers=("Saga-Callback-Token", ACTOR),
        replies=REPORTED,
        problems=(*ONE_SAGA, NoSuchStep, WrongCallbackToken, InDoubt),
    )


OPERATOR_ROUTES: Final = (
    _verb(
        "retry",
        retry,
        "Go on after parking, or skip a back-off; of one step, or of all",
        RetryRequest,
        problems=(NoSuchStep,),
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
    _verb("steps/{step}/skip", skip, "Leave out a step that is pending", problems=(NoSuchStep,)),
    _verb(
        "steps/{step}/resolve",
        resolve,
        "A person's verdict on a step",
        ResolveRequest,
        body_required=True,
        problems=(NoSuchStep,),
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
        headers=(ACTOR,),
        replies={
            200: Reply("How many a dry run matches.", BulkMatchAnswer),
            202: Reply("A job that can be followed.", BulkJobAnswer, headers=("Location",)),
        },
        problems=(ProjectionUnavailable, TooManySagas),
    ),
    RouteSpec(
        method="GET",
        path="/bulk/{job_id}",
        endpoint=bulk_job,
        summary="How far a job for many sagas has come",
        query=NoQuery,
        replies={200: Reply("So far.", BulkJobAnswer)},
        problems=(UnknownBulkJob,),
    ),
)
