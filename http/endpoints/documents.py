"""The documents about the interface itself."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from ..reply import JSON
from ..request import Request
from ..services import Services

# The page has its style inside and needs nothing else from anywhere.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


async def openapi(request: Request, services: Services) -> Response:
    return Response(services.openapi, media_type=JSON)


async def docs(request: Request, services: Services) -> Response:
    return Response(services.docs, media_type="text/html", headers=PAGE_HEADERS)
