"""Problem details of errors (RFC 9457): the only place that knows status codes of errors.

An exception is looked up by its class, then by its base classes. One that is not in the table is a
defect of the service: the response is a 500 without details, and the log has the traceback. Texts
from outside are shortened before they are sent back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from ...fsm.definitions.findings import Finding, InvalidDefinition, InvalidInput
from ...fsm.errors import (
    ChildrenUnderWay,
    CorruptStream,
    DrivenByParent,
    NotAllowed,
    NotCompensatable,
    StepNotFound,
    TooManySignals,
    UnknownSignal,
)
from ...fsm.formats.strict_json import Json, serialize
from ...fsm.runtime.errors import (
    BulkJobNotFound,
    DefinitionExists,
    DefinitionNotFound,
    IdempotencyKeyReused,
    OutcomeUnknown,
    SagaNotFound,
    Unavailable,
    VersionConflict,
    VersionNotReached,
)
from ...fsm.runtime.logging import logger
from ...projections.errors import ProjectionUnavailable
from .errors import (
    BodyTooLarge,
    BodyTooSlow,
    ForeignHost,
    ForeignOrigin,
    HeadTooLarge,
    HeadTooSlow,
    InvalidActor,
    InvalidIdempotencyKey,
    InvalidIfMatch,
    InvalidQuery,
    InvalidRequest,
    InvalidSignalName,
    MalformedRequest,
    MethodNotAllowed,
    NotJson,
    NotYaml,
    OutputNotFound,
    PathNotFound,
    SagaTypeNotFound,
    SagaVersionNotFound,
    StartUnconfirmed,
    TooManyConnections,
    TooManySagas,
    UnsupportedMediaType,
    UnsupportedTransferCoding,
    WrongCallbackToken,
)

MEDIA_TYPE: Final = "application/problem+json"
MAX_DETAIL_CHARS: Final = 500
MAX_INSTANCE_CHARS: Final = 200
MAX_ERRORS: Final = 100
RETRY_AFTER_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem type. Its `code` never changes; `retryable`: the same request may succeed later."""

    status: HTTPStatus
    code: str
    title: str
    retryable: bool = False


INTERNAL_ERROR = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "Internal error")
PROBLEMS: Mapping[type[Exception], Problem] = {
    MalformedRequest: Problem(
        HTTPStatus.BAD_REQUEST, "malformed-request", "Malformed HTTP request"
    ),
    UnsupportedTransferCoding: Problem(
        HTTPStatus.NOT_IMPLEMENTED, "unknown-transfer-coding", "Unsupported transfer coding"
    ),
    HeadTooLarge: Problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "head-too-large",
        "The request head is too large",
    ),
    HeadTooSlow: Problem(
        HTTPStatus.REQUEST_TIMEOUT,
        "head-too-slow",
        "The request head took too long",
        retryable=True,
    ),
    TooManyConnections: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too-many-connections",
        "Too many connections",
        True,
    ),
    ForeignHost: Problem(
        HTTPStatus.MISDIRECTED_REQUEST, "foreign-host", "The host is not a name of this service"
    ),
    ForeignOrigin: Problem(
        HTTPStatus.FORBIDDEN, "foreign-origin", "The origin may not call this service"
    ),
    NotJson: Problem(HTTPStatus.BAD_REQUEST, "not-json", "The body is not JSON"),
    NotYaml: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "not-yaml", "The body is not valid YAML"),
    ClientDisconnect: Problem(
        HTTPStatus.BAD_REQUEST, "body-incomplete", "The body is incomplete", retryable=True
    ),
    PathNotFound: Problem(HTTPStatus.NOT_FOUND, "unknown-path", "No such path"),
    SagaNotFound: Problem(HTTPStatus.NOT_FOUND, "unknown-saga", "No such saga"),
    SagaTypeNotFound: Problem(HTTPStatus.NOT_FOUND, "unknown-saga-type", "No such saga type"),
    DefinitionNotFound: Problem(HTTPStatus.NOT_FOUND, "unknown-definition", "No such definition"),
    SagaVersionNotFound: Problem(
        HTTPStatus.NOT_FOUND, "no-such-version", "The saga has no such version"
    ),
    MethodNotAllowed: Problem(
        HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"
    ),
    BodyTooSlow: Problem(
        HTTPStatus.REQUEST_TIMEOUT, "body-too-slow", "The body took too long", retryable=True
    ),
    NotCompensatable: Problem(
        HTTPStatus.CONFLICT, "saga-not-compensatable", "The saga cannot be compensated"
    ),
    DefinitionExists: Problem(
        HTTPStatus.CONFLICT, "definition-exists", "The version is registered with other content"
    ),
    VersionNotReached: Problem(
        HTTPStatus.CONFLICT,
        "version-not-reached",
        "The saga has not reached that version",
        retryable=True,
    ),
    NotAllowed: Problem(HTTPStatus.CONFLICT, "not-allowed", "The command is not allowed now"),
    ChildrenUnderWay: Problem(HTTPStatus.CONFLICT, "children-under-way", "Child sagas are running"),
    DrivenByParent: Problem(
        HTTPStatus.CONFLICT, "driven-by-parent", "Only the parent saga can do this"
    ),
    TooManySignals: Problem(
        HTTPStatus.CONFLICT, "too-many-signals", "Too many signals", retryable=True
    ),
    StepNotFound: Problem(HTTPStatus.NOT_FOUND, "unknown-step", "No such step"),
    OutputNotFound: Problem(HTTPStatus.NOT_FOUND, "no-output", "The step has no output"),
    WrongCallbackToken: Problem(
        HTTPStatus.FORBIDDEN, "wrong-callback-token", "Wrong callback token"
    ),
    BulkJobNotFound: Problem(HTTPStatus.NOT_FOUND, "unknown-bulk-job", "No such bulk job"),
    VersionConflict: Problem(
        HTTPStatus.PRECONDITION_FAILED, "version-mismatch", "The saga has another version"
    ),
    BodyTooLarge: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "The body is too large"
    ),
    UnsupportedMediaType: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type"
    ),
    InvalidRequest: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", "Invalid request body"
    ),
    InvalidQuery: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-query", "Invalid query parameters"
    ),
    InvalidInput: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "Invalid input"),
    InvalidDefinition: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-definition", "Invalid definition"
    ),
    InvalidIdempotencyKey: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-idempotency-key", "Invalid idempotency key"
    ),
    InvalidIfMatch: Problem(HTTPStatus.BAD_REQUEST, "invalid-if-match", "Invalid If-Match header"),
    InvalidActor: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-actor", "Invalid actor"),
    InvalidSignalName: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-signal-name", "Invalid signal name"
    ),
    UnknownSignal: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown-signal", "Unknown signal"),
    TooManySagas: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "too-many-sagas", "Too many sagas match the filter"
    ),
    IdempotencyKeyReused: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The idempotency key was used for another request",
    ),
    CorruptStream: Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "saga-corrupt", "The history of the saga is corrupt"
    ),
    Unavailable: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "not-serving", "The service is unavailable", True
    ),
    OutcomeUnknown: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "unconfirmed", "The outcome is unknown", True
    ),
    ProjectionUnavailable: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "read-model-unavailable",
        "The read model is unavailable",
        True,
    ),
    StartUnconfirmed: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "start-unconfirmed", "The start is unconfirmed", True
    ),
}


def find_problem(error: Exception) -> Problem:
    kinds = type(error).__mro__
    return next((PROBLEMS[kind] for kind in kinds if kind in PROBLEMS), INTERNAL_ERROR)


async def problem_response(request: Request[Any], error: Exception) -> Response:
    """Return the response to `error`, as a Starlette exception handler."""
    problem = find_problem(error)
    _log_failure(request, problem, error)
    return Response(
        _document(problem, error, request.scope["path"]),
        problem.status,
        dict(_headers(problem, error)),
        media_type=MEDIA_TYPE,
    )


# No handlers for statuses: the 404 and the 405 of an application that a user mounts are its own.
EXCEPTION_HANDLERS: Final[Mapping[Any, ExceptionHandler]] = {
    Exception: problem_response,
    **dict.fromkeys(PROBLEMS, problem_response),
}


def render_raw_problem(error: Exception, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the last response of a connection, as bytes, to what no application has seen.

    `headers` are those that every response of the server has.
    """
    problem = find_problem(error)
    body = _document(problem, error, "/")
    own_headers = {**dict(_headers(problem, error)), "Connection": "close"}
    lines = [
        f"HTTP/1.1 {problem.status.value} {problem.status.phrase}".encode(),
        *(b"%b: %b" % header for header in headers),
        *(f"{name}: {value}".encode() for name, value in own_headers.items()),
        f"Content-Type: {MEDIA_TYPE}".encode(),
        f"Content-Length: {len(body)}".encode(),
    ]
    return b"\r\n".join([*lines, b"", body])


def _document(problem: Problem, error: Exception, path: str) -> bytes:
    document: dict[str, Json] = {
        "type": f"/docs#{problem.code}",
        "title": problem.title,
        "status": problem.status.value,
        "detail": _detail(problem, error),
        "instance": quote(path[:MAX_INSTANCE_CHARS], errors="replace"),
        "code": problem.code,
        "retryable": problem.retryable,
        **dict(_extensions(error)),
    }
    return serialize(document)


def shorten(text: str) -> str:
    """Return `text` cut to a length that is sent back, and certainly UTF-8."""
    plain = text.encode(errors="replace").decode()
    return plain if len(plain) <= MAX_DETAIL_CHARS else plain[: MAX_DETAIL_CHARS - 1] + "…"


def _detail(problem: Problem, error: Exception) -> str:
    if problem is INTERNAL_ERROR:
        return "The error is in the log of the service."
    return shorten(str(error)) or problem.title


def _extensions(error: Exception) -> Iterator[tuple[str, Json]]:
    match error:
        case InvalidInput() | InvalidDefinition() | InvalidRequest():
            yield "errors", [_error(finding) for finding in error.findings[:MAX_ERRORS]]
        case NotAllowed():
            yield "allowed_actions", list(error.allowed_actions)
            if isinstance(error, DrivenByParent):
                yield "parent", error.parent
            if isinstance(error, ChildrenUnderWay):
                yield "children", list(error.children)
        case UnknownSignal():
            yield "known", list(error.known)
        case _:
            return


def _error(finding: Finding) -> Json:
    return {
        "pointer": shorten(finding.pointer),
        "detail": shorten(finding.detail),
        "code": finding.code,
    }


def _headers(problem: Problem, error: Exception) -> Iterator[tuple[str, str]]:
    match error:
        case MethodNotAllowed():
            yield "Allow", ", ".join(error.allowed)
        case BodyTooLarge() | BodyTooSlow():
            yield "Connection", "close"  # the rest of the body is not read
        case MalformedRequest() | UnsupportedTransferCoding() | HeadTooLarge():
            yield "Connection", "close"  # where the next request begins is not certain
        case _ if problem is INTERNAL_ERROR:
            # Starlette raises the error again for the server to see, which then hangs up.
            yield "Connection", "close"
        case _ if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
            yield "Retry-After", str(RETRY_AFTER_SECONDS)
        case _:
            return


def _log_failure(request: Request[Any], problem: Problem, error: Exception) -> None:
    """Log one line for a failure that the client has not caused."""
    if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(
        error, UnsupportedTransferCoding
    ):
        return
    facts = {
        "method": request.method,
        "path": request.scope["path"][:MAX_INSTANCE_CHARS],
        "status": problem.status.value,
        "code": problem.code,
        "error": shorten(str(error)),
    }
    unexpected = error if problem is INTERNAL_ERROR else None
    logger.error("request failed", extra=facts, exc_info=unexpected)
