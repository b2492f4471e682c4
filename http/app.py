"""The ASGI application, built from the route table.

A path without parameters is looked up; the others are tried in turn among those with as many
segments. What an endpoint raises becomes a problem here, once. The one layer of middleware before
it looks at the head alone (`admission.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from ..fsm.formats.strict_json import serialize
from .admission import AdmissionMiddleware
from .docs_page import docs_page
from .openapi import group_by_path, openapi_document
from .routes import ROUTES
from .services import AppContext
from .whole import whole_of
from .wire.errors import MethodNotAllowed, PathNotFound
from .wire.problems import problem_response
from .wire.request import Request
from .wire.route import Endpoint, RouteSpec

Methods: TypeAlias = Mapping[str, Endpoint]  # of one path, so that a wrong method is told all

HEAD_IS_GET: Final = {"HEAD": "GET"}  # the server leaves the body out
PARAMETER: Final = re.compile(r"{(\w+)}")


def build_app(
    services: AppContext,
    *,
    version: str,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
) -> ASGIApp:
    """`version` is that of the software, for the API document. `hosts` are names of this service,
    `origins` pages of others that may call it."""
    document = openapi_document(ROUTES, version)
    services = replace(services, openapi=serialize(document), docs=docs_page(document))
    return AdmissionMiddleware(Application(ROUTES, services), hosts, origins)


class Application:
    def __init__(self, routes: Sequence[RouteSpec], services: AppContext) -> None:
        self.services = services
        self._plain: dict[str, Methods] = {}
        self._patterns: dict[int, list[tuple[re.Pattern[str], Methods]]] = {}
        for path, of_path in group_by_path(routes):
            methods = {one.method: one.endpoint for one in of_path}
            if PARAMETER.search(path):
                pattern = re.compile(PARAMETER.sub(r"(?P<\1>[^/]+)", path))
                self._patterns.setdefault(path.count("/"), []).append((pattern, methods))
            else:
                self._plain[path] = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # It is not spoken here, and who tries to is told so.
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        try:
            response = await self._endpoint(request)(request, self.services)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told a problem
            response = problem_response(request, error)
        whole = whole_of(scope)
        if whole is None or not whole.answer(response):
            await response(scope, receive, send)

    def _endpoint(self, request: Request) -> Endpoint:
        """Raises NoSuchResource, MethodNotAllowed."""
        methods = self._methods(request)
        endpoint = methods.get(HEAD_IS_GET.get(request.method, request.method))
        if endpoint is None:
            raise MethodNotAllowed(sorted(methods))
        return endpoint

    def _methods(self, request: Request) -> Methods:
        scope = request.scope
        is_encoded = b"%" in scope.get("raw_path", b"")
        path = _by_segment(scope["raw_path"]) if is_encoded else scope["path"]
        path = path.removeprefix(scope.get("root_path", ""))
        if methods := self._plain.get(path):
            return methods
        for pattern, methods in self._patterns.get(path.count("/"), ()):
            if match := pattern.fullmatch(path):
                found = match.groupdict()
                if is_encoded:
                    found = {name: unquote(value) for name, value in found.items()}
                request.path_params = found
                return methods
        raise PathNotFound


def _by_segment(raw_path: bytes) -> str:
    """With everything encoded that may be, and nothing else: a slash that was encoded is a part of
    a segment, and separates none (RFC 3986, section 2.2)."""
    return "/".join(quote(unquote(one), safe="") for one in raw_path.decode("latin-1").split("/"))
