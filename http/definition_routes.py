"""Definitions: registered, listed, looked over."""

from __future__ import annotations

from typing import Final

from ..fsm.definitions.findings import InvalidDefinition
from ..fsm.definitions.schema import DefinitionModel
from ..fsm.runtime.errors import DefinitionExists, DefinitionNotFound, Unavailable
from .api.definitions import get_definition, list_definitions, put_definition, verify_definition
from .wire.body import JSON, YAML_TYPES
from .wire.errors import NotYaml
from .wire.requests import NoQuery
from .wire.responses import DefinitionsResponse, FindingsResponse, RegisteredDefinitionResponse
from .wire.route import ResponseSpec, RouteSpec

DOCUMENT: Final = (JSON, *YAML_TYPES)

DEFINITION_ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/definitions",
        endpoint=list_definitions,
        summary="All definitions, in all versions",
        query=NoQuery,
        responses={200: ResponseSpec("In order of name and version.", DefinitionsResponse)},
        problems=(Unavailable,),
    ),
    RouteSpec(
        method="POST",
        path="/definitions/verify",
        endpoint=verify_definition,
        summary="Look a definition over without registering it",
        query=NoQuery,
        body=DefinitionModel,
        body_types=DOCUMENT,
        responses={200: ResponseSpec("What its author should know.", FindingsResponse)},
        problems=(NotYaml,),
    ),
    RouteSpec(
        method="PUT",
        path="/definitions/{name}/{version}",
        endpoint=put_definition,
        summary="Register a version of a definition, for ever",
        query=NoQuery,
        body=DefinitionModel,
        body_types=DOCUMENT,
        responses={
            200: ResponseSpec(
                "It was there already, the same.",
                RegisteredDefinitionResponse,
                headers=("Location",),
            ),
            201: ResponseSpec(
                "It is registered.", RegisteredDefinitionResponse, headers=("Location",)
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
