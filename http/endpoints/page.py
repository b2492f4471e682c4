"""The operators' page."""

from __future__ import annotations

from starlette.responses import Response

from ..operators_page import assembled_page
from ..request import Request
from ..services import Services


async def operators_page(request: Request, services: Services) -> Response:
    page = assembled_page()
    return Response(page.content, headers=page.headers, media_type="text/html")
