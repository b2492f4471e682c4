"""The operators' page."""

from __future__ import annotations

from starlette.responses import Response

from ..operators_page import assemble_page
from ..services import AppContext
from ..wire.request import Request


async def operators_page(request: Request, services: AppContext) -> Response:
    page = assemble_page()
    return Response(page.content, headers=page.headers, media_type="text/html")
