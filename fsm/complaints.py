"""What pydantic finds wrong, in plain words.

Its own words name Python's types and print regular expressions, and change with its versions. Here
each type of error has words of ours; a place that a model does not have is named with the one that
is probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError

from .duration import format_duration
from .errors import Finding
from .plural import counted
from .pointer import pointer
from .schema_rules import did_you_mean
from .verifier.shape import Parts, names_in

Context: TypeAlias = Mapping[str, Any]
Words: TypeAlias = str | Callable[[Context], str]

KEY = "[key]"  # pydantic's place of the name of a member
A_TEXT, A_NUMBER, A_WHOLE_NUMBER = "must be a text", "must be a number", "must be a whole number"
A_TRUTH, A_LIST, AN_OBJECT = "must be true or false", "must be a list", "must be an object"
A_DATE = "must be a date, like 2026-03-01"
A_TIME = "must be a time with its offset from UTC, like 2026-03-01T12:00:00Z"
A_DURATION = "must be a duration with a unit, like 500ms, 10s, 5m"
A_URL, A_UUID = "must be a URL, like https://host.example/path", "must be a UUID"
NOT_EXPECTED = "is not expected"
UNFIT = "has a value that does not fit here"


WORDS: Mapping[str, Words] = {
    "missing": "is missing",
    "extra_forbidden": NOT_EXPECTED,
    "invalid_key": "has a key that is not a text",
    "json_invalid": "is not JSON",
    **dict.fromkeys(
        ("string_type", "string_sub_type", "string_unicode", "json_type", "bytes_type"), A_TEXT
    ),
    "string_not_ascii": "must be plain ASCII",
    "string_too_short": lambda context: _at_least(context["min_length"], "character"),
    "string_too_long": lambda context: _at_most(context["max_length"], "character"),
    "string_pattern_mismatch": "must be written in another way",
    "too_short": lambda context: _at_least(context["min_length"], "entry", "entries"),
    "too_long": lambda context: _at_most(context["max_length"], "entry", "entries"),
    **dict.fromkeys(("bool_type", "bool_parsing"), A_TRUTH),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), A_WHOLE_NUMBER),
    "int_parsing_size": "has too many digits",
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), A_NUMBER),
    **dict.fromkeys(("fraction_type", "fraction_parsing"), A_NUMBER),
    **dict.fromkeys(("complex_type", "complex_str_parsing"), A_NUMBER),
    "finite_number": "must be a finite number",
    "decimal_max_digits": lambda context: _at_most(context["max_digits"], "digit"),
    "decimal_max_places": lambda context: _at_most(context["decimal_places"], "decimal place"),
    "decimal_whole_digits": lambda context: _at_most(
        context["whole_digits"], "digit before the point", "digits before the point"
    ),
    "greater_than": lambda context: f"must be more than {_shown(context['gt'])}",
    "greater_than_equal": lambda context: f"must be at least {_shown(context['ge'])}",
    "less_than": lambda context: f"must be less than {_shown(context['lt'])}",
    "less_than_equal": lambda context: f"must be at most {_shown(context['le'])}",
    "multiple_of": lambda context: f"must be a multiple of {_shown(context['multiple_of'])}",
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type", "deque_type", "iterable_type"),
        A_LIST,
    ),
    **dict.fromkeys(
        ("dict_type", "frozen_dict_type", "ordered_dict_type", "counter_type", "mapping_type"),
        AN_OBJECT,
    ),
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dataclass_type", "dataclass_exact_type"),
        AN_OBJECT,
    ),
    "none_required": "must be null or left out",
    "literal_error": lambda context: f"must be {_plain(context['expected'])}",
    "enum": lambda context: f"must be {_plain(context['expected'])}",
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        A_DATE,
    ),
    **dict.fromkeys(("time_type", "time_parsing", "datetime_type", "datetime_parsing"), A_TIME),
    **dict.fromkeys(("datetime_object_invalid", "datetime_from_date_parsing"), A_TIME),
    **dict.fromkeys(("timezone_naive", "timezone_aware", "timezone_offset"), A_TIME),
    **dict.fromkeys(("date_past", "datetime_past"), "must be in the past"),
    **dict.fromkeys(("date_future", "datetime_future"), "must be in the future"),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), A_DURATION),
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation"), A_URL),
    "url_too_long": lambda context: _at_most(context["max_length"], "character"),
    "url_scheme": lambda context: f"must begin with {_plain(context['expected_schemes'])}",
    **dict.fromkeys(("uuid_type", "uuid_parsing", "uuid_version"), A_UUID),
    **dict.fromkeys(
        ("path_not_file", "path_not_directory"), "must name a file or folder that is there"
    ),
    "recursion_loop": "is a part of itself",
    "recursion_depth_exceeded": "nests too deep",
}


# By the name of a type of error, whole; the first that fits counts. The names are pydantic's, and
# change with it; the codes are promised.
CODES: Final = (
    (re.compile(r"missing(_.*)?"), "missing"),
    (re.compile(r"extra_forbidden|unexpected_.*"), "unexpected"),
    (re.compile(r".*too_short"), "too-short"),
    (re.compile(r".*too_long|decimal_(max|whole)_.*|int_parsing_size"), "too-long"),
    (
        re.compile(r"(greater|less)_than.*|multiple_of|finite_number|.*_past|.*_future"),
        "out-of-range",
    ),
    (re.compile(r"literal_error|enum|union_tag_.*"), "not-one-of"),
    (re.compile(r"(date|datetime|time|time_delta|timezone|url|uuid)_.*"), "bad-format"),
    (re.compile(r"string_pattern_mismatch|string_not_ascii|json_invalid"), "bad-format"),
    (re.compile(r".*_type|.*_parsing|.*_from_float|none_required|invalid_key"), "wrong-type"),
)
OTHER_CODE: Final = "does-not-fit"


def code_of(kind: str) -> str:
    """Return the code of a type of pydantic's errors."""
    return next((code for names, code in CODES if names.fullmatch(kind)), OTHER_CODE)


def findings_of(
    error: ValidationError,
    model: type[BaseModel] | None = None,
    patterns: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    """`patterns` has words for regular expressions, `model` the names that are known."""
    for one in error.errors(include_url=False, include_input=False):
        kind, place = one["type"], tuple(part for part in one["loc"] if part != KEY)
        detail = complaint(kind, one.get("ctx", {}), patterns)
        if KEY in one["loc"]:
            detail = f"has a name that {detail}"
        if kind == "extra_forbidden" and model is not None:
            detail += did_you_mean(str(place[-1]), _known(model, place[:-1]))
        yield Finding(code=code_of(kind), pointer=pointer(place), detail=detail)


def complaint(kind: str, context: Context, patterns: Mapping[str, str] | None = None) -> str:
    """What is wrong, to be read after the name of the place."""
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])  # which a validator of ours has raised
    if kind == "string_pattern_mismatch" and patterns and context["pattern"] in patterns:
        return patterns[context["pattern"]]
    words = WORDS.get(kind, UNFIT)
    return words if isinstance(words, str) else words(context)


def _known(model: type[BaseModel], place: Sequence[str | int]) -> Collection[str]:
    """The members that an object there can have."""
    parts, shape = _parts(model), _parts(model).whole
    for length in range(1, len(place) + 1):
        part = parts.part(tuple(place[:length]))
        if part is None:
            return ()
        shape = part.shape
    return names_in(shape)


@cache
def _parts(model: type[BaseModel]) -> Parts:
    return Parts(model.model_json_schema())


def _at_least(number: int, one: str, many: str = "") -> str:
    return f"must have at least {counted(number, one, many)}"


def _at_most(number: int, one: str, many: str = "") -> str:
    return f"must have at most {counted(number, one, many)}"


def _plain(expected: object) -> str:
    return str(expected).replace("'", "")


def _shown(limit: object) -> str:
    match limit:
        case timedelta():
            return format_duration(limit)
        case float():
            return f"{limit:g}"
        case "datetime.timedelta(0)":  # as pydantic has it where it reads JSON
            return "0s"
        case _:
            return str(limit)
