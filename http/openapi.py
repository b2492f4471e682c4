"""The interface as an OpenAPI 3.1 document, generated from the route table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ..fsm.definitions.schema import SchemaWithDurations
from .wire.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ForeignHost,
    ForeignOrigin,
    HeadTooLarge,
    InvalidActor,
    InvalidIfMatch,
    InvalidQuery,
    InvalidRequest,
    MalformedRequest,
    NotJson,
    UnsupportedMediaType,
    UnsupportedTransferCoding,
)
from .wire.headers import ACTOR_HEADER
from .wire.problems import INTERNAL_ERROR, MEDIA_TYPE, PROBLEMS, Problem
from .wire.responses import ProblemDetails
from .wire.route import ResponseSpec, RouteSpec

Document: TypeAlias = dict[str, Any]

MODE: Final[JsonSchemaMode] = "validation"
REF: Final = "#/components/schemas/{model}"
HEAD_PROBLEMS: Final = (
    MalformedRequest,
    UnsupportedTransferCoding,
    ForeignHost,
    ForeignOrigin,
    HeadTooLarge,
)
BODY_PROBLEMS: Final = (NotJson, BodyTooSlow, BodyTooLarge, UnsupportedMediaType, InvalidRequest)
REQUEST_HEADERS: Final[Mapping[str, str]] = {
    "Saga-Callback-Token": "The token that came with the call.",
    "Idempotency-Key": "Requests with the same key take effect once.",
    "If-Match": "Execute only if the saga has this version.",
    ACTOR_HEADER: (
        "The actor, recorded with the event. Not authenticated: a proxy in front must set it."
    ),
    "If-None-Match": "Respond with 304 if the saga still has this version.",
    "Prefer": "`wait=N`: wait up to N seconds, at most 60. `respond-async`: do not wait.",
}
RESPONSE_HEADERS: Final[Mapping[str, str]] = {
    "ETag": "The version of the saga.",
    "Idempotency-Replayed": "`true`: the key had started the saga, or made the bulk job, before.",
    "Link": '`rel="next"`: the next page, if there is one.',
    "Location": "The URL of the resource.",
    "Preference-Applied": "The part of Prefer that was applied.",
    "Retry-After": "Seconds until the client should ask again.",
}
Schema: TypeAlias = tuple[Any, JsonSchemaMode, TypeAdapter[Any]]


def openapi_document(routes: Sequence[RouteSpec], version: str) -> Document:
    models = _Models(routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Saga orchestrator",
            "version": version,
            "description": "Distributed transactions across HTTP services.",
        },
        "paths": {
            path: {route.method.lower(): _operation(route, models) for route in of_path}
            for path, of_path in group_by_path(routes)
        },
        "components": {"schemas": models.definitions},
    }


def group_by_path(routes: Sequence[RouteSpec]) -> Iterator[tuple[str, list[RouteSpec]]]:
    """Group routes by path; those of one path are adjacent in the table."""
    for path, of_path in groupby(routes, key=lambda route: route.path):
        yield path, list(of_path)


def possible_problems(route: RouteSpec) -> list[Problem]:
    """Return the problems that the route can respond with, by status."""
    kinds: list[type[Exception]] = [*HEAD_PROBLEMS, *route.problems]
    if route.query:
        kinds.append(InvalidQuery)
    if route.body:
        kinds += BODY_PROBLEMS
    if ACTOR_HEADER in route.headers:
        kinds.append(InvalidActor)
    if "If-Match" in route.headers:
        kinds.append(InvalidIfMatch)
    problems = {PROBLEMS[kind].code: PROBLEMS[kind] for kind in kinds}
    return sorted(
        [*problems.values(), INTERNAL_ERROR], key=lambda problem: (problem.status, problem.code)
    )


class _Models:
    """The schemas of all models of the routes."""

    def __init__(self, routes: Sequence[RouteSpec]) -> None:
        inputs: list[Any] = [
            model for route in routes for model in (route.body, route.query) if model
        ]
        outputs: list[Any] = [
            response.model
            for route in routes
            for response in route.responses.values()
            if response.model
        ]
        named = dict.fromkeys((*inputs, *outputs, ProblemDetails))
        # One mode for requests and responses: members with a default may be left out.
        schemas: list[Schema] = [(model, MODE, TypeAdapter(model)) for model in named]
        self._schemas, rest = TypeAdapter.json_schemas(
            schemas, ref_template=REF, schema_generator=SchemaWithDurations
        )
        self.definitions: Document = rest["$defs"]

    def schema(self, model: Any) -> Document:
        return dict(self._schemas[model, MODE])

    def parameters(self, model: Any) -> Iterable[tuple[str, Document]]:
        name = self.schema(model)["$ref"].rpartition("/")[2]
        members: Document = self.definitions[name]["properties"]
        return members.items()


def _operation(route: RouteSpec, models: _Models) -> Document:
    operation: Document = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": list(_parameters(route, models)),
        "responses": {**_responses(route, models), **_problems(route, models)},
    }
    if route.body:
        schema = {"schema": models.schema(route.body)}
        content = dict.fromkeys(route.body_types, schema)
        operation["requestBody"] = {"required": route.body_required, "content": content}
    return operation


def _parameters(route: RouteSpec, models: _Models) -> Iterator[Document]:
    for name in route.path_parameters:
        yield _parameter("path", name, {"type": "string"}, required=True)
    for name, schema in models.parameters(route.query) if route.query else ():
        yield _parameter("query", name, schema)
    for name in route.headers:
        yield {
            **_parameter("header", name, {"type": "string"}),
            "description": REQUEST_HEADERS[name],
        }


def _parameter(place: str, name: str, schema: Document, *, required: bool = False) -> Document:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _responses(route: RouteSpec, models: _Models) -> Document:
    return {
        str(status): _response(response, models) for status, response in route.responses.items()
    }


def _response(reply: ResponseSpec, models: _Models) -> Document:
    description: Document = {"description": reply.description}
    if reply.headers:
        description["headers"] = {name: _response_header(name) for name in reply.headers}
    if reply.media_type:
        schema = models.schema(reply.model) if reply.model else {}
        description["content"] = {reply.media_type: {"schema": schema}}
    return description


def _response_header(name: str) -> Document:
    return {"description": RESPONSE_HEADERS[name], "schema": {"type": "string"}}


def _problems(route: RouteSpec, models: _Models) -> Document:
    """Return one entry per status, with its codes. A status in `responses` is described there."""
    schema = models.schema(ProblemDetails)
    content = {MEDIA_TYPE: {"schema": schema}}
    by_status = groupby(possible_problems(route), key=lambda problem: problem.status.value)
    return {
        str(status): {
            "description": "; ".join(_problem_text(problem) for problem in of_status),
            "content": content,
        }
        for status, of_status in by_status
        if status not in route.responses
    }


def _problem_text(problem: Problem) -> str:
    return f"`{problem.code}`: {problem.title}"
