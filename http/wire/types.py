"""Types of values in requests: their validation, and their schema in the API document."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SkipValidation, WithJsonSchema

from ...fsm.formats.duration import parse_duration

RFC_3339: Final = re.compile(
    r"([0-9]{4})-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
YEARS: Final = range(1970, 9000)  # so that no arithmetic on a time can leave the calendar
MAX_INTEGER: Final = 2**63 - 1
MAX_ENTITY_ID_CHARS: Final = 200
MAX_TAGS: Final = 50
MAX_TAG_NAME_CHARS: Final = 100
MAX_TAG_CHARS: Final = 1000


def parse_time(text: object) -> datetime:
    """Return a time of RFC 3339 in UTC. Raises ValueError."""
    if not isinstance(text, str) or not (parts := RFC_3339.fullmatch(text)):
        raise ValueError("write a time of RFC 3339 with its offset, like 2026-03-01T12:00:00Z")
    if int(parts[1]) not in YEARS:
        raise ValueError(f"the year is not from {YEARS.start} to {YEARS.stop - 1}")
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def _parse_deadline(value: object) -> datetime | timedelta | None:
    if value is None:
        return None
    if isinstance(value, str) and not RFC_3339.fullmatch(value):
        return parse_duration(value)
    return parse_time(value)


def _check_entity_id(value: object) -> int | str:
    if isinstance(value, str) and len(value) <= MAX_ENTITY_ID_CHARS:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return value
    raise ValueError(
        f"write a whole number of at most 64 bits, or a text of at most {MAX_ENTITY_ID_CHARS}"
        " characters"
    )


def _check_object(value: object) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise ValueError("write an object")


def _check_array(value: object) -> list[Any] | None:
    if value is None or isinstance(value, list):
        return value
    raise ValueError("write an array")


# Passed on unchanged: the strict parser has validated their content.
AnyObject = Annotated[
    dict[str, Any] | None,
    SkipValidation,
    BeforeValidator(_check_object),
    WithJsonSchema({"type": ["object", "null"]}),
]
AnyArray = Annotated[
    list[Any] | None,
    SkipValidation,
    BeforeValidator(_check_array),
    WithJsonSchema({"type": ["array", "null"]}),
]
AnyJson = Annotated[Any, SkipValidation, WithJsonSchema({})]
EntityId = Annotated[
    int | str,
    SkipValidation,
    BeforeValidator(_check_entity_id),
    WithJsonSchema({"type": ["integer", "string"], "maxLength": MAX_ENTITY_ID_CHARS}),
]
Time = Annotated[
    datetime, BeforeValidator(parse_time), WithJsonSchema({"type": "string", "format": "date-time"})
]
Deadline = Annotated[
    datetime | timedelta | None,
    SkipValidation,
    BeforeValidator(_parse_deadline),
    WithJsonSchema(
        {
            "type": ["string", "null"],
            "description": "A time (RFC 3339) or a duration from the start, like 15m.",
        }
    ),
]
Tags = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_TAG_NAME_CHARS)],
        Annotated[str, Field(max_length=MAX_TAG_CHARS)],
    ],
    Field(max_length=MAX_TAGS),
]
