"""Definitions: put, shown, listed, and looked over before they are put."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.definitions.definition import Definition
from ...fsm.definitions.findings import Finding, InvalidDefinition, Severity
from ...fsm.definitions.parser import load_registered_definition
from ...fsm.definitions.schema import NAME_PATTERN
from ...fsm.definitions.verifier import verify
from ...fsm.formats.strict_json import Json, JsonObject, parse
from ...fsm.runtime.errors import DefinitionNotFound
from ..services import AppContext
from ..wire.body import document
from ..wire.json_response import JSON, json_response
from ..wire.request import Request
from ..wire.requests import MAX_VERSION, NoQuery, read_query

VERSION_DIGITS: Final = re.compile(r"[1-9][0-9]{0,9}")


async def put_definition(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    given, size = await document(request, services.workroom)
    elsewhere = _path_mismatches(given, request.path_params)
    try:
        definition = await services.workroom.run(size, load_registered_definition, given)
    except InvalidDefinition as error:
        raise InvalidDefinition([*elsewhere, *error.findings]) from None
    if elsewhere:
        raise InvalidDefinition([*elsewhere, *await _find_errors(definition, services)])
    created = await services.orchestrator.register(definition)
    findings = await _verify(definition, services)
    answer = {**_document_of(definition), "findings": _findings_view(findings)}
    place = f"/definitions/{definition.name}/{definition.version}"
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    return json_response(answer, status, {"Location": place})


async def get_definition(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    name, version = _parse_path(request.path_params)
    definition = await services.orchestrator.definition(name, version)
    return Response(definition.source, media_type=JSON)


async def list_definitions(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    found = await services.orchestrator.definitions()
    return json_response({"definitions": [_summary_view(one) for one in found]})


async def verify_definition(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    try:
        findings = await _verify(await _read_definition(request, services), services)
    except InvalidDefinition as error:
        findings = error.findings
    return json_response({"findings": _findings_view(findings)})


async def _read_definition(request: Request, services: AppContext) -> Definition:
    """Raises InvalidDefinition."""
    given, size = await document(request, services.workroom)
    return await services.workroom.run(size, load_registered_definition, given)


async def _verify(definition: Definition, services: AppContext) -> Sequence[Finding]:
    others, size = await services.orchestrator.definitions(), len(definition.source)
    return await services.workroom.run(size, verify, definition, services.participants, others)


def _path_mismatches(given: Json, place: Mapping[str, str]) -> list[Finding]:
    """Find where the path says something else than the document, as far as both can be read."""
    said = given if isinstance(given, Mapping) else {}
    name, version = said.get("saga"), said.get("version")
    findings = []
    if isinstance(name, str) and name != place["name"]:
        findings.append(_mismatch("saga", f"is {name[:80]}", place["name"]))
    if not VERSION_DIGITS.fullmatch(place["version"]):
        detail = f"the path ends in {place['version'][:80]}: a version is a whole number from 1"
        findings.append(Finding(code="other-place", pointer="/version", detail=detail))
    elif type(version) is int and version != int(place["version"]):
        findings.append(_mismatch("version", f"is {version}", place["version"]))
    return findings


def _mismatch(member: str, said: str, in_path: str) -> Finding:
    detail = f"it {said} in the body, and {in_path[:80]} in the path: make them the same"
    return Finding(code="other-place", pointer=f"/{member}", detail=detail)


async def _find_errors(definition: Definition, services: AppContext) -> Sequence[Finding]:
    findings = await _verify(definition, services)
    return [one for one in findings if one.severity is Severity.ERROR]


def _parse_path(place: Mapping[str, str]) -> tuple[str, int]:
    """Raises DefinitionNotFound for what cannot be the name or version of any."""
    name, version = place["name"], place["version"]
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
            "code": one.code,
            "pointer": one.pointer,
            "detail": one.detail,
            "severity": one.severity.value,
        }
        for one in findings
    ]
