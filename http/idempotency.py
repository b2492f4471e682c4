"""Idempotency keys of clients, and what they stand for."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from ..fsm.runtime.orchestrator import StartKey
from ..fsm.strict_json import JsonObject
from .errors import InvalidIdempotencyKey
from .request import Request

VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,255}")
QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def start_key(request: Request, body: JsonObject) -> StartKey | None:
    """None without the header. Raises InvalidIdempotencyKey."""
    key = header_key(request)
    return None if key is None else StartKey(key, digest(body))


def header_key(request: Request) -> str | None:
    """None without the header. Raises InvalidIdempotencyKey."""
    given = request.headers(b"idempotency-key")
    if len(given) > 1:
        raise InvalidIdempotencyKey
    return parse_key(given[0]) if given else None


def parse_key(header: str) -> str:
    """Bare or a string of RFC 8941: the same key either way. Raises InvalidIdempotencyKey."""
    key = header.strip()
    if key.startswith('"'):
        if not (quoted := QUOTED.fullmatch(key)):
            raise InvalidIdempotencyKey
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not VISIBLE.fullmatch(key):
        raise InvalidIdempotencyKey
    return key


def digest(body: JsonObject) -> bytes:
    """The same for the same request, whatever its blanks and the order of its members."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()
