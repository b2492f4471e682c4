"""Idempotency keys of clients, and what they stand for."""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Context, Decimal
from functools import partial
from typing import Final

from msgspec.json import Decoder, Encoder

from ..fsm.numbers import MOST_DIGITS
from ..fsm.runtime.orchestrator import StartKey
from ..fsm.strict_json import JsonObject, serialize
from .errors import InvalidIdempotencyKey
from .request import Request

VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,255}")
ALL_DIGITS: Final = Context(prec=2 * MOST_DIGITS)  # of a number before and after the point
DIGEST_VERSION: Final = b"\x02"  # before a digest; the first ones have none
QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def start_key(request: Request, body: JsonObject) -> StartKey | None:
    """None without the header. Raises InvalidIdempotencyKey."""
    key = header_key(request)
    return None if key is None else StartKey(key, digest(body), partial(earlier_digest, body))


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
    """Return the same for the same request, however it is written.

    Blanks, the order of members and the spelling of numbers do not count, and a member at its
    default, which is null or empty for all of them, is one that is left out.
    """
    given = {name: value for name, value in body.items() if value is not None and value != {}}
    canonical = _write(_read(serialize(given)))
    return DIGEST_VERSION + hashlib.sha256(canonical).digest()


def earlier_digest(body: JsonObject) -> bytes:
    """Return what was recorded before there were versions of digests, when numbers were floats."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=float)
    return hashlib.sha256(canonical.encode()).digest()


def _canonical_number(text: str) -> Decimal | int:
    number = Decimal(text)
    return whole if (whole := int(number)) == number else number.normalize(ALL_DIGITS)


_read = Decoder(float_hook=_canonical_number).decode
_write = Encoder(decimal_format="number", order="sorted").encode
