"""Outputs in answers: the small ones stand in them, the large ones are given by size and link.

A participant may answer a megabyte, and a saga may have a hundred steps: an answer with all of it
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
from .headers import (
    etag,
)
from .json_response import NO_HEADERS, YIELD_INTERVAL_BYTES, JsonBytesResponse

MAX_INLINE_OUTPUT_BYTES: Final = 64 * 1024  # bytes of JSON
MAX_INLINE_OUTPUTS_BYTES: Final = (
    1024 * 1024
)  # together; what comes after them is linked, however small
FEW_STEPS: Final = (
    4  # steps: their outputs are some megabytes at most, written in some milliseconds
)
View = Callable[[Saga, Mapping[str, OutputLink]], JsonObject]


async def status_response(
    saga: Saga,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] = NO_HEADERS,
    *,
    as_of: bool = False,
) -> Response:
    """The status view. Links of one that looks back, `as_of`, lead to the outputs of then."""
    return JsonBytesResponse(await written(status_view, saga, as_of=as_of), status, headers)


async def start_response(saga: Saga, status: HTTPStatus, headers: Mapping[str, str]) -> Response:
    return JsonBytesResponse(await written(start_result_view, saga), status, headers)


async def written(view: View, saga: Saga, *, as_of: bool = False) -> bytes:
    """The JSON of a view. Nearly all are small, and are written once, without a look at sizes."""
    definition = saga.definition
    if len(definition.steps) <= FEW_STEPS and not definition.children:
        data = serialize(view(saga, NO_LINKS))
        if len(data) <= MAX_INLINE_OUTPUT_BYTES:
            return data
    return serialize(view(saga, await _links(saga, as_of=as_of)))


async def _links(saga: Saga, *, as_of: bool) -> Mapping[str, OutputLink]:
    """By step, in the order of the definition."""
    links: dict[str, OutputLink] = {}
    together = since_turn = 0
    for step, state in saga.steps:
        if state.output is None:
            continue
        size = len(serialize(state.output))
        since_turn += size
        if since_turn >= YIELD_INTERVAL_BYTES:
            since_turn = 0
            await asyncio.sleep(0)
        if size > MAX_INLINE_OUTPUT_BYTES or together >= MAX_INLINE_OUTPUTS_BYTES:
            links[step.name] = OutputLink(size, _href(saga, step.name, as_of=as_of))
        else:
            together += size
    return links


def _href(saga: Saga, step: str, *, as_of: bool) -> str:
    then = f"?at_version={saga.state.version}" if as_of else ""
    return f"/sagas/{saga.state.saga_id}/steps/{step}/output{then}"


def saga_headers(saga: Saga) -> dict[str, str]:
    """Its version, and where to ask for it again."""
    return {
        "ETag": etag(saga.state.version),
        "Location": f"/sagas/{saga.state.saga_id}/status",
    }
