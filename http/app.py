"""The ASGI application: a Starlette application with the routes of the API.

More can be added to it as to any other: `app.add_middleware(...)`, `app.mount(...)`. What the
endpoints work with is the state that its lifespan yields (`state.py`).
"""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Lifespan, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from ..fsm.formats.strict_json import serialize
from .admission import AdmissionMiddleware
from .api import (
    bulk,
    dashboard,
    definitions,
    monitoring,
    operations,
    sagas,
    service,
    start,
    step_callbacks,
)
from .docs_page import docs_page
from .openapi import openapi_document
from .wire.errors import PathNotFound
from .wire.problems import EXCEPTION_HANDLERS
from .wire.route import StaticRoutes

# Starlette tries them in this order: the most frequent are first.
ROUTES: Final = (
    *start.ROUTES,
    *sagas.ROUTES,
    *step_callbacks.ROUTES,
    *operations.ROUTES,
    *bulk.ROUTES,
    *monitoring.ROUTES,
    *definitions.ROUTES,
    *service.ROUTES,
    *dashboard.ROUTES,
)


def build_app(lifespan: Lifespan[Starlette] | None = None, *, version: str) -> Starlette:
    """Return the application. `version` is that of the software, for the API document."""
    routes = [
        route.to_route({other.method for other in ROUTES if other.path == route.path})
        for route in ROUTES
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(AdmissionMiddleware), Middleware(StaticRoutes, routes=routes)],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes, app.router.default = False, _refuse_path
    document = openapi_document(ROUTES, version)
    app.state.openapi, app.state.docs = serialize(document), docs_page(document)
    return app


async def _refuse_path(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to a request for which there is no route, nor a mounted application."""
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
    else:
        raise PathNotFound
