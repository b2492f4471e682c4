"""Definitions: registered, listed, looked over."""

from __future__ import annotations

from typing import Final

from ..fsm.errors import InvalidDefinition
from ..fsm.language import DefinitionModel
from ..fsm.runtime.errors import DefinitionExists, DefinitionNotFound, NotServing
from .answers import DefinitionsAnswer, FindingsAnswer, RegisteredAnswer
from .body import JSON, YAML
from .endpoints.definitions import (
    get_definition,
    list_definitions,
    put_definition,
    verify_definition,
)
from .errors import NotYaml
from .models import NoQuery
from .route import Reply, RouteSpec

DOCUMENT: Final = (JSON, *YAML)

DEFINITION_ROUTES: Final = (
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
        replies={
            200: Reply("It was there already, the same.", RegisteredAnswer, headers=("Location",)),
            201: Reply("It is registered.", RegisteredAnswer, headers=("Location",)),
        },
        problems=(DefinitionExists, InvalidDefinition, NotServing, NotYaml),
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
)
