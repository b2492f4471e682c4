"""Request bodies: read within bounds of size and time, then as JSON or YAML, strictly.

A body that is too large is still received for a while and discarded: a client reads a response only
after it has sent its whole request, and would see a broken connection instead if we closed it
before. Unknown members are refused by the models in `requests.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from ...fsm.definitions.findings import Finding
from ...fsm.formats.strict_json import InvalidJson, Json, JsonObject, parse_untrusted
from ...fsm.formats.strict_yaml import InvalidYaml, parse_yaml
from ...fsm.formats.utf8 import NotUtf8, read_utf8
from ...fsm.runtime.concurrency import SharedTimeout, WorkerThread
from .errors import (
    BodyTooLarge,
    BodyTooSlow,
    InvalidRequest,
    NotJson,
    NotYaml,
    UnsupportedMediaType,
)
from .headers import header_values
from .json_response import JSON

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_DISCARDED_BYTES: Final = 32 * MAX_BODY_BYTES  # beyond, the connection is closed
MAX_BODY_SECONDS: Final = 30  # `body_timeout` in the state of the application
JSON_ONLY: Final = (JSON,)
YAML_TYPES: Final = ("application/yaml", "application/x-yaml", "text/yaml")


async def read_json_object(request: Request[Any], *, may_be_empty: bool = False) -> JsonObject:
    """Return the object in the body, or {} for no body if it `may_be_empty`.

    Raises the errors of `errors.py` that concern bodies.
    """
    data = await _read_supported(request, JSON_ONLY)
    if not data:
        if may_be_empty:
            return {}
        raise NotJson(f"there is no body; send an object with Content-Type: {JSON}")
    value = _parse_json(data)
    if not isinstance(value, dict):
        raise InvalidRequest([Finding(code="not-an-object", pointer="", detail="send an object")])
    return value


async def read_json(request: Request[Any]) -> Json:
    """Return the JSON in the body, or None for no body. Raises as `read_json_object`."""
    data = await _read_supported(request, JSON_ONLY)
    return _parse_json(data) if data else None


async def read_document(request: Request[Any], worker_thread: WorkerThread) -> tuple[Json, int]:
    """Return the definition in the body, JSON or YAML by its media type, and its size in bytes."""
    data = await _read_supported(request, (JSON, *YAML_TYPES))
    if not data:
        raise NotJson("there is no body; send a definition as JSON or YAML")
    parse = _parse_yaml if _media_type(request) in YAML_TYPES else _parse_json
    return await worker_thread.run(len(data), parse, data), len(data)


async def _read_supported(request: Request[Any], supported: Sequence[str]) -> bytes:
    """Return a body of one of the `supported` types; no body needs no type.

    A body without a type is refused: a page of any site can make a browser send one without asking
    first.
    """
    media_type = _media_type(request)
    is_supported = media_type in supported or media_type.endswith("+json")
    if not is_supported and header_values(request, b"content-length") not in ([], ["0"]):
        raise UnsupportedMediaType(supported)
    data = await read_body(request)
    if data and not is_supported:
        raise UnsupportedMediaType(supported)
    return data


async def read_body(request: Request[Any]) -> bytes:
    """Return the whole body. Raises BodyTooLarge, BodyTooSlow, ClientDisconnect."""
    if _is_refused_by_length(request):
        raise BodyTooLarge(MAX_BODY_BYTES)
    timeout: SharedTimeout = request.state["body_timeout"]
    try:
        with timeout:
            return await _receive(request.receive)
    except TimeoutError:
        raise BodyTooSlow(MAX_BODY_SECONDS) from None


def _is_refused_by_length(request: Request[Any]) -> bool:
    """True if the body is too large even to be discarded, or if it is too large and its client
    waits for a 100 before it sends it."""
    announced = "".join(header_values(request, b"content-length")[:1])
    if not announced.isdecimal():
        return False
    if len(announced) <= 10 and int(announced) <= MAX_BODY_BYTES:
        return False
    is_awaited = header_values(request, b"expect")
    return bool(is_awaited) or len(announced) > 10 or int(announced) > MAX_DISCARDED_BYTES


async def _receive(receive: Receive) -> bytes:
    chunks, size, more = list[bytes](), 0, True
    while more and size <= MAX_DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    return b"".join(chunks)


def _media_type(request: Request[Any]) -> str:
    """Return the media type without its parameters, or "" if there is none."""
    for encoding in header_values(request, b"content-encoding"):
        if encoding.lower() != "identity":
            raise UnsupportedMediaType(())
    media_types = header_values(request, b"content-type")
    return media_types[0].partition(";")[0].strip().lower() if media_types else ""


def _parse_json(data: bytes) -> Json:
    try:
        return parse_untrusted(data)
    except InvalidJson as error:
        raise NotJson(str(error)) from None


def _parse_yaml(data: bytes) -> Json:
    try:
        return parse_yaml(read_utf8(data))
    except (NotUtf8, InvalidYaml) as error:
        raise NotYaml(str(error)) from None
