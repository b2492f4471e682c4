"""Answers that are not problems."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ..fsm.strict_json import Json, serialize

JSON: Final = "application/json"
CONTENT_TYPE: Final = (b"content-type", JSON.encode())
NONE: Final[Mapping[str, str]] = {}


class JsonReply(Response):
    """As Starlette makes it, which asks for all that a response may be."""

    media_type = JSON

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.body, self.status_code, self.background = body, status, None
        self.raw_headers = [
            *[(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            (b"content-length", b"%d" % len(body)),
            CONTENT_TYPE,
        ]


def json_reply(
    value: Json, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return JsonReply(serialize(value), status, headers or NONE)
