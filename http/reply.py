"""Answers that are not problems."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from ..fsm.strict_json import Json, serialize

JSON = "application/json"


def json_reply(
    value: Json, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(serialize(value), status, headers, media_type=JSON)
