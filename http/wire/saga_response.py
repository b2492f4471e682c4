"""Responses that show a saga: small outputs are in them, large ones are given by size and link.

A participant may return a megabyte, and a saga may have a hundred steps: a response with all of it
would keep the event loop and the client busy for seconds, again at each poll of the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.formats.strict_json import JsonObject, serialize
from ...fsm.saga import Saga
from ...projections.status import NO_LINKS, OutputLink, start_result_view, status_view
from .headers import etag
from .json_response import JSON, YIELD_INTERVAL_BYTES

MAX_INLINE_OUTPUT_BYTES: Final = 64 * 1024  # of JSON
MAX_INLINE_OUTPUTS_BYTES: Final = 1024 * 1024  # together; further outputs are linked at any size
FEW_STEPS: Final = 4  # their outputs are some megabytes at most, written in some milliseconds
View = Callable[[Saga, Mapping[str, OutputLink]], JsonObject]


async def status_response(
    saga: Saga,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    *,
    as_of: bool = False,
) -> Response:
    """Return the status view. With `as_of`, a view of the past, links lead to its own outputs."""
    body = await render_view(status_view, saga, as_of=as_of)
    return Response(body, status, headers, media_type=JSON)


async def start_response(saga: Saga, status: HTTPStatus, headers: Mapping[str, str]) -> Response:
    return Response(await render_view(start_result_view, saga), status, headers, media_type=JSON)


def saga_headers(saga: Saga) -> dict[str, str]:
    """Return the headers with the version of the saga and the place of its status."""
    return {
        "ETag": etag(saga.state.version),
        "Location": f"/sagas/{saga.state.saga_id}/status",
    }


async def render_view(view: View, saga: Saga, *, as_of: bool = False) -> bytes:
    """Return the JSON of a view. Most are small, and written once without measuring outputs."""
    definition = saga.definition
    if len(definition.steps) <= FEW_STEPS and not definition.children:
        data = serialize(view(saga, NO_LINKS))
        if len(data) <= MAX_INLINE_OUTPUT_BYTES:
            return data
    return serialize(view(saga, await _links(saga, as_of=as_of)))


async def _links(saga: Saga, *, as_of: bool) -> Mapping[str, OutputLink]:
    """Return the outputs to be linked, by step in the order of the definition."""
    links: dict[str, OutputLink] = {}
    inline_bytes = since_yield = 0
    for step, state in saga.steps:
        if state.output is None:
            continue
        size = len(serialize(state.output))
        since_yield += size
        if since_yield >= YIELD_INTERVAL_BYTES:
            since_yield = 0
            await asyncio.sleep(0)
        if size > MAX_INLINE_OUTPUT_BYTES or inline_bytes >= MAX_INLINE_OUTPUTS_BYTES:
            links[step.name] = OutputLink(size, _href(saga, step.name, as_of=as_of))
        else:
            inline_bytes += size
    return links


def _href(saga: Saga, step: str, *, as_of: bool) -> str:
    version = f"?at_version={saga.state.version}" if as_of else ""
    return f"/sagas/{saga.state.saga_id}/steps/{step}/output{version}"
