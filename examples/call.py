"""What a participant is asked, and what it answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

from pydantic import Field
from starlette.requests import Request

MAX_BODY_BYTES = 1024 * 1024  # bytes; the orchestrator sends no more
MAX_KEY_CHARACTERS = 255  # characters
MAX_ID = 2**63 - 1  # SQLite's largest integer; no row ever gets it

JsonObject = Mapping[str, object]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class BodyTooLarge(Exception):
    """A request body of more than MAX_BODY bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One POST; `ids` are the numbers in its path. `named` is the key of an action instead of one:
    who does not know the number of what it made can say who asked for it.
    """

    method: str
    path: str
    body: bytes = b""
    ids: Mapping[str, int]
    named: str = ""
    key: str | None = None
    saga_id: str | None = None
    step: str | None = None
    attempt: int | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for requests that ask the same; the attempt does not count."""
        asked = f"{self.method} {self.path}\n".encode() + canonical(self.body)
        return hashlib.sha256(asked).hexdigest()

    @property
    def action_key(self) -> str | None:
        """The key under which this saga's step calls its action, whichever direction this is."""
        if self.saga_id is None or self.step is None:
            return None
        return f"{self.saga_id}/{self.step}/action"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: JsonObject
    replayed: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether a repeat of the call must get this very answer.

        A declined card stays declined for its key, since the caller may have acted on it. Other
        refusals had no effect and are decided anew: an operator repeats them with the same key.
        """
        return self.status < HTTPStatus.MULTIPLE_CHOICES or self.status == 402


def refusal(status: HTTPStatus, detail: str) -> Answer:
    return Answer(status, {"detail": detail})


async def read_call(request: Request) -> Call:
    """Raises BodyTooLarge as soon as the body is."""
    headers = request.headers
    return Call(
        method=request.method,
        path=request.url.path,
        body=await read_body(request),
        # A longer number names nothing either, and SQLite would not take it.
        ids={
            name: min(value, MAX_ID)
            for name, value in request.path_params.items()
            if isinstance(value, int)
        },
        named=str(request.path_params.get("action_key", ""))[:MAX_KEY_CHARACTERS],
        key=(headers.get("idempotency-key") or "").strip('" ') or None,
        saga_id=headers.get("saga-id"),
        step=headers.get("saga-step"),
        attempt=parse_attempt(headers.get("saga-attempt", "")),
    )


async def read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
    return bytes(body)


def canonical(body: bytes) -> bytes:
    """The same bytes for the same JSON; what is not JSON stays as it is."""
    try:
        return json.dumps(json.loads(body, parse_float=_exact), sort_keys=True).encode()
    except (ValueError, ArithmeticError, RecursionError):
        return body


def _exact(text: str) -> float | str:
    """A float where it has the value that is written; else two amounts could be one request."""
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text


def parse_attempt(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
