"""Definitions: registered, shown, listed, and verified before they are registered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.definitions.definition import Definition
from ...fsm.definitions.findings import Finding, InvalidDefinition, Severity
from ...fsm.definitions.parser import parse_unverified_definition
from ...fsm.definitions.schema import NAME_PATTERN, DefinitionModel
from ...fsm.definitions.verifier import verify
from ...fsm.formats.strict_json import Json, JsonObject, parse
from ...fsm.runtime.errors import DefinitionExists, DefinitionNotFound, Unavailable
from ..state import Request
from ..wire.body import YAML_TYPES, read_document
from ..wire.errors import NotYaml
from ..wire.json_response import JSON, json_response
from ..wire.requests import MAX_VERSION, NoQuery, read_query
from ..wire.responses import DefinitionsResponse, FindingsResponse, RegisteredDefinitionResponse
from ..wire.route import ResponseSpec, RouteSpec

VERSION_DIGITS: Final = re.compile(r"[1-9][0-9]{0,9}")


async def put_definition(request: Request) -> Response:
    orchestrator, worker_thread = request.state["orchestrator"], request.state["worker_thread"]
    read_query(NoQuery, request)
    document, size = await read_document(request, worker_thread)
    mismatches = _path_mismatches(document, request.path_params)
    try:
        definition = await worker_thread.run(size, parse_unverified_definition, document)
    except InvalidDefinition as error:
        raise InvalidDefinition([*mismatches, *error.findings]) from None
    if mismatches:
        raise InvalidDefinition([*mismatches, *await _find_errors(definition, request)])
    created = await orchestrator.register(definition)
    findings = await _verify(definition, request)
    body = {**_document_of(definition), "findings": _findings_view(findings)}
    location = f"/definitions/{definition.name}/{definition.version}"
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    return json_response(body, status, {"Location": location})


async def get_definition(request: Request) -> Response:
    read_query(NoQuery, request)
    name, version = _parse_path(request.path_params)
    definition = await request.state["orchestrator"].definition(name, version)
    return Response(definition.source, media_type=JSON)


async def list_definitions(request: Request) -> Response:
    read_query(NoQuery, request)
    definitions = await request.state["orchestrator"].definitions()
    return json_response({"definitions": [_summary_view(each) for each in definitions]})


async def verify_definition(request: Request) -> Response:
    read_query(NoQuery, request)
    try:
        findings = await _verify(await _read_definition(request), request)
    except InvalidDefinition as error:
        findings = error.findings
    return json_response({"findings": _findings_view(findings)})


async def _read_definition(request: Request) -> Definition:
    """Raises InvalidDefinition."""
    worker_thread = request.state["worker_thread"]
    document, size = await read_document(request, worker_thread)
    return await worker_thread.run(size, parse_unverified_definition, document)


async def _verify(definition: Definition, request: Request) -> Sequence[Finding]:
    participants = request.state["participants"]
    others = await request.state["orchestrator"].definitions()
    return await request.state["worker_thread"].run(
        len(definition.source), verify, definition, participants, others
    )


async def _find_errors(definition: Definition, request: Request) -> Sequence[Finding]:
    findings = await _verify(definition, request)
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def _path_mismatches(document: Json, path: Mapping[str, str]) -> list[Finding]:
    """Find where the path differs from the document, as far as both can be read."""
    members = document if isinstance(document, Mapping) else {}
    name, version = members.get("saga"), members.get("version")
    findings = []
    if isinstance(name, str) and name != path["name"]:
        findings.append(_mismatch("saga", f"is {name[:80]}", path["name"]))
    if not VERSION_DIGITS.fullmatch(path["version"]):
        detail = f"the path ends in {path['version'][:80]}: a version is a whole number from 1"
        findings.append(Finding(code="other-place", pointer="/version", detail=detail))
    elif type(version) is int and version != int(path["version"]):
        findings.append(_mismatch("version", f"is {version}", path["version"]))
    return findings


def _mismatch(member: str, in_body: str, in_path: str) -> Finding:
    detail = f"it {in_body} in the body, and {in_path[:80]} in the path: make them the same"
    return Finding(code="other-place", pointer=f"/{member}", detail=detail)


def _parse_path(path: Mapping[str, str]) -> tuple[str, int]:
    """Return name and version. Raises DefinitionNotFound if no definition can have them."""
    name, version = path["name"], path["version"]
    if not re.fullmatch(NAME_PATTERN, name) or not VERSION_DIGITS.fullmatch(version):
        raise DefinitionNotFound(f"{name} version {version}")
    if int(version) > MAX_VERSION:
        raise DefinitionNotFound(name, int(version))
    return name, int(version)


def _document_of(definition: Definition) -> JsonObject:
    source = parse(definition.source)
    assert isinstance(source, Mapping), "a definition is an object"
    return source


def _summary_view(definition: Definition) -> dict[str, Json]:
    return {
        "saga": definition.name,
        "version": definition.version,
        "description": _document_of(definition).get("description"),
        "steps": [step.name for step in definition.steps],
    }


def _findings_view(findings: Sequence[Finding]) -> list[Json]:
    return [
        {
            "code": finding.code,
            "pointer": finding.pointer,
            "detail": finding.detail,
            "severity": finding.severity.value,
        }
        for finding in findings
    ]


DOCUMENT_TYPES: Final = (JSON, *YAML_TYPES)

ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/definitions",
        endpoint=list_definitions,
        summary="All definitions, in all versions",
        query=NoQuery,
        responses={
            200: ResponseSpec("The definitions, in order of name and version.", DefinitionsResponse)
        },
        problems=(Unavailable,),
    ),
    RouteSpec(
        method="POST",
        path="/definitions/verify",
        endpoint=verify_definition,
        summary="Verify a definition without registering it",
        query=NoQuery,
        body=DefinitionModel,
        body_types=DOCUMENT_TYPES,
        responses={200: ResponseSpec("The findings for its author.", FindingsResponse)},
        problems=(NotYaml,),
    ),
    RouteSpec(
        method="PUT",
        path="/definitions/{name}/{version}",
        endpoint=put_definition,
        summary="Register a version of a definition, which never changes afterwards",
        query=NoQuery,
        body=DefinitionModel,
        body_types=DOCUMENT_TYPES,
        responses={
            200: ResponseSpec(
                "The same definition was registered already.",
                RegisteredDefinitionResponse,
                headers=("Location",),
            ),
            201: ResponseSpec(
                "The definition is registered.",
                RegisteredDefinitionResponse,
                headers=("Location",),
            ),
        },
        problems=(DefinitionExists, InvalidDefinition, Unavailable, NotYaml),
    ),
    RouteSpec(
        method="GET",
        path="/definitions/{name}/{version}",
        endpoint=get_definition,
        summary="One version of a definition",
        query=NoQuery,
        responses={200: ResponseSpec("The document as it was registered.", DefinitionModel)},
        problems=(DefinitionNotFound, Unavailable),
    ),
)
