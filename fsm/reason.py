"""Why a participant refused, as one line that a person can read.

Frameworks say it in many shapes: a text, a text in a member, a list of what is wrong with each
field. The shapes known here are those of RFC 9457, JSON:API, OAuth and GraphQL, and of FastAPI,
Django REST framework, Rails, ASP.NET and Spring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Final

from .answer import Reply
from .strict_json import Json, NotKeepable, parse

LONGEST_REASON: Final = 300  # characters
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\u2028\u2029\ud800-\udfff]")
# Members that say why; the first one with a text counts.
REASONS: Final = ("detail", "error", "message", "reason", "title")
OTHER_REASONS: Final = ("errors", "msg", "description", "error_description")
PLACES: Final = ("loc", "field", "pointer", "path", "param", "source")  # of what is wrong
DEEPEST: Final = 4
MOST_ITEMS: Final = 20  # more would not fit into the line


def reason_of(reply: Reply) -> str:
    """`409 Insufficient balance`: what the participant says, else its text, else the phrase."""
    if reply.unreadable:
        return one_line(f"{reply.status} {_phrase(reply.status)} ({reply.unreadable})")
    try:
        body = parse(reply.body)
    except NotKeepable:
        body = None
    said = _said(body) or _said_of_fields(body)
    if not said and not isinstance(body, Mapping):
        said = reply.body.decode(errors="replace")
    return one_line(f"{reply.status} {said or _phrase(reply.status)}")


def one_line(text: str) -> str:
    """Without control characters and runs of blanks, cut to LONGEST_REASON."""
    plain = " ".join(UNPRINTABLE.sub(" ", text).split())
    return plain if len(plain) <= LONGEST_REASON else plain[: LONGEST_REASON - 1] + "…"


def _said(value: Json, depth: int = 0) -> str:
    """The text in `value`, or in the first of its members that has one; of a list, all texts."""
    match value:
        case str():
            return value.strip()
        case list() if depth < DEEPEST:
            return "; ".join(filter(None, (_said(one, depth + 1) for one in value[:MOST_ITEMS])))
        case Mapping() if depth < DEEPEST:
            return _named(_place(value), next(filter(None, _reasons(value, depth)), ""))
        case _:
            return ""


def _reasons(value: Mapping[str, Json], depth: int) -> Iterator[str]:
    for name in (*REASONS, *OTHER_REASONS):
        if name in value:
            yield _said(value[name], depth + 1)
            if name == "errors":
                yield _said_of_fields(value[name])


def _said_of_fields(value: Json) -> str:
    """Of `{"amount": ["must be positive"]}`: names of fields, each with what is wrong with it."""
    if not isinstance(value, Mapping):
        return ""
    lists = ((name, one) for name, one in value.items() if isinstance(one, list))
    said = (_named(name, _said(one, 1)) for name, one in islice(lists, MOST_ITEMS))
    return "; ".join(filter(None, said))


def _place(value: Mapping[str, Json]) -> str:
    for name in PLACES:
        match value.get(name):
            case str() as place:
                return place
            case list() as parts:
                return ".".join(str(one) for one in parts[:MOST_ITEMS])
            case {"pointer": str() as place}:
                return place
    return ""


def _named(place: str, said: str) -> str:
    return f"{place}: {said}" if place and said else said


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
