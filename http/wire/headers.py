"""Request headers: Saga-Actor, Idempotency-Key, If-Match, If-None-Match and Prefer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Context, Decimal
from functools import partial
from typing import Any, Final

from msgspec.json import Decoder, Encoder
from starlette.requests import Request

from ...fsm.formats.numbers import MAX_DIGITS
from ...fsm.formats.strict_json import JsonObject, serialize
from ...fsm.runtime.orchestrator import IdempotencyKey
from .errors import InvalidActor, InvalidIdempotencyKey, InvalidIfMatch

ACTOR_HEADER: Final = "Saga-Actor"
MAX_ACTOR_CHARS: Final = 200
MAX_CONDITION_CHARS: Final = 1000
MAX_PREFER_CHARS: Final = 1000
DEFAULT_WAIT: Final = timedelta(seconds=30)
MAX_WAIT: Final = timedelta(seconds=60)

# An entity tag and a list of them (RFC 9110, section 8.8.3).
ENTITY_TAG: Final = re.compile(r'(W/)?"([^"]*)"')
ENTITY_TAGS: Final = re.compile(rf"{ENTITY_TAG.pattern}(?:[ \t]*,[ \t]*{ENTITY_TAG.pattern})*")

# An idempotency key as it is, and as a quoted string.
VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]{1,255}")
QUOTED_KEY: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
EXACT_CONTEXT: Final = Context(prec=2 * MAX_DIGITS)  # digits before and after the point
DIGEST_VERSION: Final = b"\x02"  # prefix of a digest; those of the first version have none

# One preference at a time, up to the comma after it; a quoted value may hold commas.
PREFERENCE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
NAME_AND_VALUE: Final = re.compile(r'\s*([\w-]+)\s*(?:=\s*"?([^";]*)"?\s*)?(?:;.*)?', re.ASCII)
SECONDS: Final = re.compile(r"[0-9]{1,9}")


def header_values(request: Request[Any], name: bytes) -> list[str]:
    """Return the values of all headers of that name, which is in small letters.

    Most headers that are looked up are absent: this takes a third of the time of Starlette's.
    """
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]


def read_actor(request: Request[Any]) -> str | None:
    """Return the actor that `Saga-Actor` claims; events record it. Raises InvalidActor.

    The header is not authenticated: a proxy in front must set it, and strip what clients send.
    """
    values = header_values(request, b"saga-actor")
    if len(values) > 1:
        raise InvalidActor(MAX_ACTOR_CHARS)
    return parse_actor(values[0].encode("latin-1")) if values else None


def parse_actor(header: bytes) -> str:
    """Decode UTF-8, as proxies send names. Raises InvalidActor."""
    try:
        actor = header.strip().decode()
    except UnicodeDecodeError:
        raise InvalidActor(MAX_ACTOR_CHARS) from None
    if not (1 <= len(actor) <= MAX_ACTOR_CHARS and actor.isprintable()):
        raise InvalidActor(MAX_ACTOR_CHARS)
    return actor


def etag(version: int) -> str:
    """Return the version of a saga as an entity tag."""
    return f'"{version}"'


def matches_if_none_match(request: Request[Any], version: int) -> bool:
    """True if If-None-Match says that the client has this version."""
    condition = _condition(request, b"if-none-match")
    tags = ENTITY_TAG.finditer(condition)
    return condition == "*" or any(tag[2] == str(version) for tag in tags)


def has_if_match(request: Request[Any]) -> bool:
    """True if If-Match demands a version, and not only that the saga exists.

    Raises InvalidIfMatch, also for weak tags alone: they match no version, and a client that sends
    one means a strong tag.
    """
    condition = _condition(request, b"if-match")
    if condition in ("", "*"):
        return False
    if not ENTITY_TAGS.fullmatch(condition) or all(
        tag[1] for tag in ENTITY_TAG.finditer(condition)
    ):
        raise InvalidIfMatch(condition)
    return True


def satisfies_if_match(request: Request[Any], version: int) -> bool:
    """True if If-Match allows acting on this version, or is absent. Raises InvalidIfMatch."""
    if not has_if_match(request):
        return True
    tags = ENTITY_TAG.finditer(_condition(request, b"if-match"))
    return any(tag[2] == str(version) and not tag[1] for tag in tags)


def _condition(request: Request[Any], name: bytes) -> str:
    return ",".join(header_values(request, name))[:MAX_CONDITION_CHARS].strip()


def read_start_key(request: Request[Any], body: JsonObject) -> IdempotencyKey | None:
    """Return the idempotency key with the digest of the request. Raises InvalidIdempotencyKey."""
    key = read_idempotency_key(request)
    if key is None:
        return None
    return IdempotencyKey(key, request_digest(body), partial(former_digest, body))


def read_bulk_key(request: Request[Any], body: JsonObject) -> IdempotencyKey | None:
    """Return the idempotency key with the digest of the request. Raises InvalidIdempotencyKey."""
    key = read_idempotency_key(request)
    return None if key is None else IdempotencyKey(key, bulk_request_digest(body))


def read_idempotency_key(request: Request[Any]) -> str | None:
    """Return the key, or None without the header. Raises InvalidIdempotencyKey."""
    values = header_values(request, b"idempotency-key")
    if len(values) > 1:
        raise InvalidIdempotencyKey
    return parse_idempotency_key(values[0]) if values else None


def parse_idempotency_key(header: str) -> str:
    """Return the key, bare or as a string of RFC 8941. Raises InvalidIdempotencyKey."""
    key = header.strip()
    if key.startswith('"'):
        if not (quoted := QUOTED_KEY.fullmatch(key)):
            raise InvalidIdempotencyKey
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not VISIBLE_ASCII.fullmatch(key):
        raise InvalidIdempotencyKey
    return key


def request_digest(body: JsonObject) -> bytes:
    """Return a digest that is the same for the same request, however it is written.

    Blanks, the order of members and the spelling of numbers do not count, and a member at its
    default, which is null or empty for all of them, counts as left out.
    """
    return _digest(_without_defaults(body))


def bulk_request_digest(body: JsonObject) -> bytes:
    """Return the digest of a bulk request, as `request_digest` does.

    The members of its filter may be left out too, and `dry_run` is false by default.
    """
    members = {name: value for name, value in body.items() if value is not None}
    if members.get("dry_run") is False:
        del members["dry_run"]
    if isinstance(saga_filter := members.get("filter"), Mapping):
        members["filter"] = _without_defaults(saga_filter)
    return _digest(members)


def _without_defaults(members: JsonObject) -> JsonObject:
    return {name: value for name, value in members.items() if value is not None and value != {}}


def _digest(members: JsonObject) -> bytes:
    canonical = _encode_canonical(_decode_canonical(serialize(members)))
    return DIGEST_VERSION + hashlib.sha256(canonical).digest()


def former_digest(body: JsonObject) -> bytes:
    """Return the digest as recorded before digests had versions, when numbers were floats."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=float)
    return hashlib.sha256(canonical.encode()).digest()


def _canonical_number(text: str) -> Decimal | int:
    number = Decimal(text)
    return whole if (whole := int(number)) == number else number.normalize(EXACT_CONTEXT)


_decode_canonical = Decoder(float_hook=_canonical_number).decode
_encode_canonical = Encoder(decimal_format="number", order="sorted").encode


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences of RFC 7240 that are applied. `wait` is None if the client gave none."""

    wait: timedelta | None = None
    respond_async: bool = False

    @property
    def applied(self) -> str | None:
        """The value of Preference-Applied, from which a client learns that its wait was cut."""
        if self.respond_async:
            return "respond-async"
        return None if self.wait is None else f"wait={self.wait.total_seconds():.0f}"

    def wait_or(self, default: timedelta) -> timedelta:
        if self.respond_async:
            return timedelta()
        return default if self.wait is None else self.wait


NO_PREFERENCES: Final = Preferences()


def read_preferences(request: Request[Any]) -> Preferences:
    """Return what Prefer says. A preference that cannot be read counts as absent."""
    values = header_values(request, b"prefer")
    return parse_preferences(",".join(values)) if values else NO_PREFERENCES


def parse_preferences(header: str) -> Preferences:
    values: dict[str, str] = {}
    for preference in PREFERENCE.findall(header[:MAX_PREFER_CHARS]):
        if parts := NAME_AND_VALUE.fullmatch(preference):
            values.setdefault(parts[1].lower(), (parts[2] or "").strip())
    return Preferences(_parse_wait(values.get("wait", "")), "respond-async" in values)


def _parse_wait(value: str) -> timedelta | None:
    if not SECONDS.fullmatch(value):
        return None
    return min(timedelta(seconds=int(value)), MAX_WAIT)
