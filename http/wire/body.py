"""Bodies: read within bounds, then as JSON or YAML, strictly.

A body that is too large is still received for a while, and thrown away: a client reads an answer
only once it has sent what it wanted to, and if we hung up on it meanwhile it would see a broken
connection and no answer. A member that is not checked here reaches nobody: see `models.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from ...fsm.definitions.findings import Finding
from ...fsm.formats.strict_json import InvalidJson, Json, JsonObject, parse_untrusted
from ...fsm.formats.strict_yaml import InvalidYaml, parse_yaml
from ...fsm.formats.utf8 import NotUtf8, read_utf8
from ...fsm.runtime.concurrency import WorkerThread
from ..begun import Begun
from ..whole import whole_of
from .errors import (
    BodyTooLarge,
    BodyTooSlow,
    InvalidRequest,
    NotJson,
    NotYaml,
    UnsupportedMediaType,
)
from .request import Request

MAX_BODY_BYTES: Final = 1024 * 1024  # bytes
MAX_DISCARDED_BYTES: Final = 32 * MAX_BODY_BYTES  # what is larger is hung up on
MAX_BODY_SECONDS: Final = 30.0
JSON: Final = "application/json"
JSON_ONLY: Final = (JSON,)
YAML_TYPES: Final = ("application/yaml", "application/x-yaml", "text/yaml")


async def read_json_object(request: Request, *, may_be_empty: bool = False) -> JsonObject:
    """Raises whatever `errors.py` says of bodies."""
    data = await _read_supported(request, JSON_ONLY)
    if not data:
        if may_be_empty:
            return {}
        raise NotJson(f"there is no body; send an object with Content-Type: {JSON}")
    value = _parse_json(data)
    if not isinstance(value, dict):
        raise InvalidRequest([Finding(code="not-an-object", pointer="", detail="send an object")])
    return value


async def read_json(request: Request) -> Json:
    """Any JSON; nothing at all is null. Raises whatever `errors.py` says of bodies."""
    data = await _read_supported(request, JSON_ONLY)
    return _parse_json(data) if data else None


async def document(request: Request, workroom: WorkerThread) -> tuple[Json, int]:
    """JSON or YAML, as the request says, and its size."""
    data = await _read_supported(request, (JSON, *YAML_TYPES))
    if not data:
        raise NotJson("there is no body; send a definition as JSON or YAML")
    read = _parse_yaml if _media_type(request) in YAML_TYPES else _parse_json
    return await workroom.run(len(data), read, data), len(data)


async def _read_supported(request: Request, supported: Sequence[str]) -> bytes:
    """Of one of these types. A body without a type is refused: a page of any site can have a
    browser send one without asking first. No body needs no type."""
    media_type = _media_type(request)
    is_read = media_type in supported or media_type.endswith("+json")
    if not is_read and request.header(b"content-length") not in (None, "0"):
        raise UnsupportedMediaType(supported)
    data = _arrived(request) or await read(request)
    if data and not is_read:
        raise UnsupportedMediaType(supported)
    return data


def _arrived(request: Request) -> bytes:
    """All of it, if it is there already and not too large; else nothing."""
    whole = whole_of(request.scope)
    return (whole is not None and whole.take_body(MAX_BODY_BYTES)) or b""


async def read(request: Request) -> bytes:
    """All of it. Raises BodyTooLarge, BodyTooSlow."""
    if _is_refused_by_length(request):
        raise BodyTooLarge(MAX_BODY_BYTES)
    reading = Begun(_receive(request.receive))
    if reading.is_done:
        return await reading
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            return await reading
    except TimeoutError:
        raise BodyTooSlow(MAX_BODY_SECONDS) from None


def _is_refused_by_length(request: Request) -> bool:
    """Hopelessly large; or too large, and the client asks before it sends."""
    announced = request.header(b"content-length")
    if announced is None or not announced.isdecimal():
        return False
    asks = request.header(b"expect") is not None
    limit = MAX_BODY_BYTES if asks else MAX_DISCARDED_BYTES
    return len(announced) > 10 or int(announced) > limit


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


def _media_type(request: Request) -> str:
    """Without parameters; empty if it is not said."""
    encoding = request.header(b"content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise UnsupportedMediaType(())
    given = request.header(b"content-type") or ""
    return given.partition(";")[0].strip().lower()


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
