"""Calls to a participant and its answers to them."""

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
MAX_ID = 2**63 - 1  # SQLite's largest integer, which no row ever reaches

JsonObject = Mapping[str, object]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class BodyTooLarge(Exception):
    """A request body of more than MAX_BODY bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One POST. `ids` are the numbers in its path. `named` is the key of an action in place of a
    number: a caller that never received the number can name the action that made the thing.
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
        """A hash that is equal for equal requests; the attempt does not count."""
        request = f"{self.method} {self.path}\n".encode() + canonical(self.body)
        return hashlib.sha256(request).hexdigest()

    @property
    def action_key(self) -> str | None:
        """The idempotency key of the step's action, also for a call of its compensation."""
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
        """True if a repetition of the call must get the same answer.

        A declined card stays declined for its key, since the caller may have acted on that. Other
        refusals had no effect and are decided anew: an operator retries them with the same key.
        """
        return self.status < HTTPStatus.MULTIPLE_CHOICES or self.status == 402


def refusal(status: HTTPStatus, detail: str) -> Answer:
    return Answer(status, {"detail": detail})


async def read_call(request: Request) -> Call:
    """Read a call from an HTTP request. Raises BodyTooLarge."""
    headers = request.headers
    return Call(
        method=request.method,
        path=request.url.path,
        body=await read_body(request),
        # A larger number names nothing either, and SQLite does not accept it.
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
    """Return the same bytes for equal JSON documents; a body that is not JSON is unchanged."""
    try:
        return json.dumps(json.loads(body, parse_float=_exact), sort_keys=True).encode()
    except (ValueError, ArithmeticError, RecursionError):
        return body


def _exact(text: str) -> float | str:
    """Return a float if it is exact, else the text: two amounts must not become one request."""
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text


def parse_attempt(text: str) -> int | None:
    """Parse the number of an attempt, or return None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
