"""The ASGI application, built from the route table.

A path is one Starlette route whatever its methods, so that the answer to a wrong method can name
all of them. What an endpoint raises becomes a problem here, once: no layer of middleware is paid
for by requests that go well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from ..fsm.strict_json import serialize
from .docs_page import docs_page
from .errors import MethodNotAllowed, NoSuchResource
from .openapi import by_path, openapi_document
from .problems import problem_reply
from .route import Endpoint, RouteSpec
from .routes import ROUTES
from .services import Services

HEAD_IS_GET: Final = {"HEAD": "GET"}  # the server leaves the body out


def build_app(services: Services, *, version: str) -> Router:
    """`version` is that of the software, for the API document."""
    document = openapi_document(ROUTES, version)
    services = replace(services, openapi=serialize(document), docs=docs_page(document))
    routes = _starlette_routes(ROUTES, services)
    return Router(routes, redirect_slashes=False, default=_nothing_here)


def _starlette_routes(routes: tuple[RouteSpec, ...], services: Services) -> list[BaseRoute]:
    return [
        Route(path, Methods({one.method: one.endpoint for one in of_path}, services))
        for path, of_path in by_path(routes)
    ]


class Methods:
    """All endpoints of one path."""

    def __init__(self, endpoints: Mapping[str, Endpoint], services: Services) -> None:
        self.endpoints, self.services = endpoints, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        """The top of every request."""
        try:
            return await self._endpoint(request.method)(request, self.services)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told a problem
            return problem_reply(request, error)

    def _endpoint(self, method: str) -> Endpoint:
        endpoint = self.endpoints.get(HEAD_IS_GET.get(method, method))
        if endpoint is None:
            raise MethodNotAllowed(sorted(self.endpoints))
        return endpoint


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """What no route matches. A WebSocket is not spoken here, and is told so by being closed."""
    if scope["type"] != "http":
        await send({"type": "websocket.close"})
        return
    response = problem_reply(Request(scope, receive), NoSuchResource())
    await response(scope, receive, send)
