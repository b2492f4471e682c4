"""The reason of a refusal, as one line for operators.

Frameworks give it in many shapes: a text, a text in a member, a list of what is wrong with each
field. The shapes known here are those of RFC 9457, JSON:API, OAuth and GraphQL, and of FastAPI,
Django REST framework, Rails, ASP.NET and Spring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Final

from .formats.strict_json import InvalidJson, Json, parse

MAX_REASON_CHARACTERS: Final = 300
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\u2028\u2029\ud800-\udfff]")
# Members that give a reason; the first one with a text counts.
REASON_MEMBERS: Final = ("detail", "error", "message", "reason", "title")
OTHER_REASON_MEMBERS: Final = ("errors", "msg", "description", "error_description")
LOCATION_MEMBERS: Final = ("loc", "field", "pointer", "path", "param", "source")  # of an error
MAX_DEPTH: Final = 4
MAX_ITEMS: Final = 20  # more would not fit into the line


def refusal_reason(status: int, body: bytes, unreadable: str = "") -> str:
    """Return one line like `409 Insufficient balance`.

    After the status comes the reason in the body, else its text, else the phrase of the status.
    `unreadable` says why the body could not be decoded.
    """
    if unreadable:
        return one_line(f"{status} {_phrase(status)} ({unreadable})")
    try:
        value = parse(body)
    except InvalidJson:
        value = None
    reason = _text_of(value) or _texts_by_field(value)
    if not reason and not isinstance(value, Mapping):
        reason = body.decode(errors="replace")
    return one_line(f"{status} {reason or _phrase(status)}")


def one_line(text: str) -> str:
    """Return `text` without control characters and runs of blanks, cut to MAX_REASON_CHARACTERS."""
    plain = " ".join(UNPRINTABLE.sub(" ", text).split())
    is_short = len(plain) <= MAX_REASON_CHARACTERS
    return plain if is_short else plain[: MAX_REASON_CHARACTERS - 1] + "…"


def _text_of(value: Json, depth: int = 0) -> str:
    """Return the text in `value`, or in the first member that has one; of a list, all texts."""
    match value:
        case str():
            return value.strip()
        case list() if depth < MAX_DEPTH:
            return "; ".join(
                filter(None, (_text_of(item, depth + 1) for item in value[:MAX_ITEMS]))
            )
        case Mapping() if depth < MAX_DEPTH:
            return _with_location(_location(value), next(filter(None, _reasons(value, depth)), ""))
        case _:
            return ""


def _reasons(value: Mapping[str, Json], depth: int) -> Iterator[str]:
    for name in (*REASON_MEMBERS, *OTHER_REASON_MEMBERS):
        if name in value:
            yield _text_of(value[name], depth + 1)
            if name == "errors":
                yield _texts_by_field(value[name])


def _texts_by_field(value: Json) -> str:
    """Return the errors in `{"amount": ["must be positive"]}`, each with its field."""
    if not isinstance(value, Mapping):
        return ""
    lists = ((name, errors) for name, errors in value.items() if isinstance(errors, list))
    texts = (_with_location(name, _text_of(errors, 1)) for name, errors in islice(lists, MAX_ITEMS))
    return "; ".join(filter(None, texts))


def _location(value: Mapping[str, Json]) -> str:
    for name in LOCATION_MEMBERS:
        match value.get(name):
            case str() as field:
                return field
            case list() as parts:
                return ".".join(str(part) for part in parts[:MAX_ITEMS])
            case {"pointer": str() as pointer}:
                return pointer
    return ""


def _with_location(location: str, text: str) -> str:
    return f"{location}: {text}" if location and text else text


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
