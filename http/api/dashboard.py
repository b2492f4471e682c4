"""The operators' page: one document with its style and its script inside, which loads nothing.

Its parts are files in `page/`. The Content-Security-Policy that goes with it names the digests of
style and script, so that a browser runs these and nothing that data could bring in.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.responses import Response

from ..state import Request
from ..wire.route import ResponseSpec, RouteSpec

FOLDER: Final = Path(__file__).parent.parent / "page"
SCRIPTS: Final = ("elements.js", "saga.js", "overview.js")


async def operators_page(request: Request) -> Response:
    page, headers = _assemble_page()
    return Response(page, headers=headers, media_type="text/html")


@cache
def _assemble_page() -> tuple[str, Mapping[str, str]]:
    """Return the page and its headers."""
    style = _read("page.css")
    script = "".join(_read(name) for name in SCRIPTS)
    page = _read("page.html").replace("{style}", style).replace("{script}", script)
    headers = {
        "Content-Security-Policy": _policy(style, script),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return page, headers


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/",
        endpoint=operators_page,
        summary="The operators' page",
        responses={200: ResponseSpec("A page that loads nothing else.", media_type="text/html")},
    ),
)
