"""Request headers: Saga-Actor, Idempotency-Key, If-Match, If-None-Match and Prefer."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Context, Decimal
from functools import partial
from typing import Final

from msgspec.json import Decoder, Encoder

from ...fsm.formats.numbers import MAX_DIGITS
from ...fsm.formats.strict_json import JsonObject, serialize
from ...fsm.runtime.orchestrator import IdempotencyKey
from .errors import InvalidActor, InvalidIdempotencyKey, InvalidIfMatch
from .request import Request

ACTOR_HEADER: Final = "Saga-Actor"
ACTOR_FIELD: Final = ACTOR_HEADER.lower().encode()
MAX_ACTOR_CHARS: Final = 200  # characters


def read_actor(request: Request) -> str | None:
    """None without the header. Raises InvalidActor."""
    given = request.headers(ACTOR_FIELD)
    if len(given) > 1:
        raise InvalidActor(MAX_ACTOR_CHARS)
    return parse_actor(given[0].encode("latin-1")) if given else None


def parse_actor(header: bytes) -> str:
    """UTF-8, as proxies send names. Raises InvalidActor."""
    try:
        actor = header.strip().decode()
    except UnicodeDecodeError:
        raise InvalidActor(MAX_ACTOR_CHARS) from None
    if not (1 <= len(actor) <= MAX_ACTOR_CHARS and actor.isprintable()):
        raise InvalidActor(MAX_ACTOR_CHARS)
    return actor


MAX_CONDITION_CHARS: Final = 1000  # characters
ENTITY_TAG: Final = re.compile(r'(W/)?"([^"]*)"')
ENTITY_TAGS: Final = re.compile(rf"{ENTITY_TAG.pattern}(?:[ \t]*,[ \t]*{ENTITY_TAG.pattern})*")


def etag(version: int) -> str:
    return f'"{version}"'


def matches_if_none_match(request: Request, version: int) -> bool:
    """Whether If-None-Match says that the client has this version."""
    given = _condition(request, b"if-none-match")
    return given == "*" or any(tag[2] == str(version) for tag in ENTITY_TAG.finditer(given))


def has_if_match(request: Request) -> bool:
    """Whether If-Match is more than a demand that the saga exists. Raises InvalidIfMatch.

    A weak tag is refused too: it matches no version, and a client that sends one means the other.
    """
    given = _condition(request, b"if-match")
    if given in ("", "*"):
        return False
    if not ENTITY_TAGS.fullmatch(given) or all(tag[1] for tag in ENTITY_TAG.finditer(given)):
        raise InvalidIfMatch(given)
    return True


def satisfies_if_match(request: Request, version: int) -> bool:
    """Whether If-Match allows to act on this version; without the header all are allowed."""
    if not has_if_match(request):
        return True
    given = _condition(request, b"if-match")
    return any(tag[2] == str(version) and not tag[1] for tag in ENTITY_TAG.finditer(given))


def _condition(request: Request, name: bytes) -> str:
    return ",".join(request.headers(name))[:MAX_CONDITION_CHARS].strip()


VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]{1,255}")
EXACT_CONTEXT: Final = Context(prec=2 * MAX_DIGITS)  # of a number before and after the point
DIGEST_VERSION: Final = b"\x02"  # before a digest; the first ones have none
QUOTED_KEY: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def read_start_key(request: Request, body: JsonObject) -> IdempotencyKey | None:
    """None without the header. Raises InvalidIdempotencyKey."""
    key = read_idempotency_key(request)
    return None if key is None else IdempotencyKey(key, digest(body), partial(former_digest, body))


def read_idempotency_key(request: Request) -> str | None:
    """None without the header. Raises InvalidIdempotencyKey."""
    given = request.headers(b"idempotency-key")
    if len(given) > 1:
        raise InvalidIdempotencyKey
    return parse_idempotency_key(given[0]) if given else None


def parse_idempotency_key(header: str) -> str:
    """Bare or a string of RFC 8941: the same key either way. Raises InvalidIdempotencyKey."""
    key = header.strip()
    if key.startswith('"'):
        if not (quoted := QUOTED_KEY.fullmatch(key)):
            raise InvalidIdempotencyKey
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not VISIBLE_ASCII.fullmatch(key):
        raise InvalidIdempotencyKey
    return key


def digest(body: JsonObject) -> bytes:
    """Return the same for the same request, however it is written.

    Blanks, the order of members and the spelling of numbers do not count, and a member at its
    default, which is null or empty for all of them, is one that is left out.
    """
    given = {name: value for name, value in body.items() if value is not None and value != {}}
    canonical = _encode_canonical(_decode_canonical(serialize(given)))
    return DIGEST_VERSION + hashlib.sha256(canonical).digest()


def former_digest(body: JsonObject) -> bytes:
    """Return what was recorded before there were versions of digests, when numbers were floats."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=float)
    return hashlib.sha256(canonical.encode()).digest()


def _canonical_number(text: str) -> Decimal | int:
    number = Decimal(text)
    return whole if (whole := int(number)) == number else number.normalize(EXACT_CONTEXT)


_decode_canonical = Decoder(float_hook=_canonical_number).decode
_encode_canonical = Encoder(decimal_format="number", order="sorted").encode


DEFAULT_WAIT: Final = timedelta(seconds=30)
MAX_WAIT: Final = timedelta(seconds=60)
MAX_PREFER_CHARS: Final = 1000  # characters

# One preference at a time, up to the comma after it; a quoted value may hold commas.
PREFERENCE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
NAME_AND_VALUE: Final = re.compile(r'\s*([\w-]+)\s*(?:=\s*"?([^";]*)"?\s*)?(?:;.*)?', re.ASCII)
SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Preferences:
    """`wait` is None if none was asked for; it is within bounds."""

    wait: timedelta | None = None
    respond_async: bool = False

    @property
    def applied(self) -> str | None:
        """For Preference-Applied."""
        if self.respond_async:
            return "respond-async"
        return None if self.wait is None else f"wait={self.wait.total_seconds():.0f}"

    def wait_or(self, default: timedelta) -> timedelta:
        if self.respond_async:
            return timedelta()
        return default if self.wait is None else self.wait


def read_preferences(request: Request) -> Preferences:
    headers = request.headers(b"prefer")
    return parse_preferences(",".join(headers)) if headers else NO_PREFERENCES


def parse_preferences(header: str) -> Preferences:
    given: dict[str, str] = {}
    for preference in PREFERENCE.findall(header[:MAX_PREFER_CHARS]):
        if parts := NAME_AND_VALUE.fullmatch(preference):
            given.setdefault(parts[1].lower(), (parts[2] or "").strip())
    return Preferences(_parse_wait(given.get("wait", "")), "respond-async" in given)


def _parse_wait(value: str) -> timedelta | None:
    if not SECONDS.fullmatch(value):
        return None
    return min(timedelta(seconds=int(value)), MAX_WAIT)


NO_PREFERENCES: Final = Preferences()
