"""A route: what is served where, and all that can be said about it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import BaseModel
from starlette.responses import Response

from ..services import AppContext
from .json_response import JSON
from .request import Request

Endpoint: TypeAlias = Callable[[Request, AppContext], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """Without a model the body is not ours to describe, without a type there is none."""

    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = JSON
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """`problems` are those of its own; what every body or query can meet goes without saying.
    Without a `query` whatever is asked is ignored.
    """

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    responses: Mapping[int, ResponseSpec]
    body: type[BaseModel] | None = None
    body_types: tuple[str, ...] = (JSON,)
    body_required: bool = True
    query: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()
    problems: tuple[type[Exception], ...] = field(default=())

    @property
    def name(self) -> str:
        return self.endpoint.__name__

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)
