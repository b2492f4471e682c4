"""A route of the API: its method and path, its endpoint, and its description in the API
document."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import MethodNotAllowed
from .json_response import JSON
from .problems import problem_response

Endpoint: TypeAlias = Callable[[Request[Any]], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A response that a route gives. Without a model its body is not described here, without a
    media type it has none."""

    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = JSON
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """A route and its description. `problems` are those of this route alone; `openapi.py` adds what
    any body or query can cause.

    Without a `query` model every query parameter is ignored.
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
    problems: tuple[type[Exception], ...] = ()

    @property
    def name(self) -> str:
        return self.endpoint.__name__

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    def to_route(self, path_methods: Collection[str]) -> Route:
        """Return the route. `path_methods` are those of all routes of its path."""
        return SegmentRoute(self, path_methods)


class EndpointApp:
    """An endpoint as an ASGI application.

    Starlette would wrap a function in exception handlers of its own, though those of the whole
    application are around it already: that takes 9 us a request.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request[Any](scope, receive, send)
        try:
            response = await self.endpoint(request)
        except Exception as error:  # noqa: BLE001 - the response says what happened
            # Here, inside the middleware that adds headers for browsers; the connection stays.
            response = await problem_response(request, error)
        await response(scope, receive, send)


class SegmentRoute(Route):
    """A Starlette route that is matched segment by segment.

    An encoded slash is a part of its segment and separates none (RFC 3986, section 2.2). A path
    without parameters is never one with them, whatever the method: `GET /sagas/start` is refused,
    and does not read the saga `start`.
    """

    def __init__(self, spec: RouteSpec, path_methods: Collection[str]) -> None:
        app = EndpointApp(spec.endpoint)
        super().__init__(spec.path, app, methods=[spec.method], name=spec.name)
        self._path_methods = sorted(path_methods)
        served = {*path_methods, *(("HEAD",) if "GET" in path_methods else ())}
        self._served_elsewhere = served - (self.methods or set())

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        raw_path: bytes = scope.get("raw_path") or b""
        if b"%" in raw_path:
            match, child_scope = super().matches({**scope, "path": _encode_segments(raw_path)})
            parameters: Mapping[str, str] = child_scope.get("path_params", {})
            child_scope["path_params"] = {name: unquote(text) for name, text in parameters.items()}
        else:
            match, child_scope = super().matches(scope)
        refused = match is Match.PARTIAL and scope["method"] not in self._served_elsewhere
        if refused and not self.param_convertors:
            return Match.FULL, child_scope  # for `handle` to refuse the method
        return match, child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self.methods or ()):
            raise MethodNotAllowed(self._path_methods)
        await self.app(scope, receive, send)


class StaticRoutes:
    """ASGI middleware that hands a request for a path without parameters to its route at once.

    Starlette's router tries one route after the other, inside exception handlers of which an
    endpoint of ours has no need: for a start that is 2 % of the CPU time of its saga. Any other
    request takes its way.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._routes = {
            (method, route.path.encode()): route
            for route in routes
            if isinstance(route, SegmentRoute) and not route.param_convertors
            for method in route.methods or ()
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        # As the client has written it: an encoded path is for the router.
        route = self._routes.get((scope["method"], scope.get("raw_path", b"")))
        if route is None:
            return self.app(scope, receive, send)
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        return route.app(scope, receive, send)


def _encode_segments(raw_path: bytes) -> str:
    """Return the path with every character encoded that may be, except the separating slashes."""
    segments = raw_path.decode("latin-1").split("/")
    return "/".join(quote(unquote(segment), safe="") for segment in segments)
