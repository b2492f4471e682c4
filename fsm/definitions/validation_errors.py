"""Turn pydantic's validation errors into findings in plain words.

pydantic's own messages name Python types, print regular expressions and change with its versions.
Here each type of error has a message of ours; for an unknown member the closest known name is
suggested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError

from ..formats.duration import format_duration
from ..formats.json_path import json_pointer
from ..formats.schema_shape import Parts, declared_names
from ..formats.wording import counted, did_you_mean
from .findings import Finding

Context: TypeAlias = Mapping[str, Any]
Message: TypeAlias = str | Callable[[Context], str]

KEY_MARKER = "[key]"  # pydantic's marker for an error in the name of a member
MUST_BE_TEXT, MUST_BE_NUMBER, MUST_BE_WHOLE_NUMBER = (
    "must be a text",
    "must be a number",
    "must be a whole number",
)
MUST_BE_BOOLEAN, MUST_BE_LIST, MUST_BE_OBJECT = (
    "must be true or false",
    "must be a list",
    "must be an object",
)
MUST_BE_DATE = "must be a date, like 2026-03-01"
MUST_BE_TIME = "must be a time with its offset from UTC, like 2026-03-01T12:00:00Z"
MUST_BE_DURATION = "must be a duration with a unit, like 500ms, 10s, 5m"
MUST_BE_URL, MUST_BE_UUID = "must be a URL, like https://host.example/path", "must be a UUID"
NOT_EXPECTED = "is not expected"
DEFAULT_MESSAGE = "has a value that does not fit here"


MESSAGES: Mapping[str, Message] = {
    "missing": "is missing",
    "extra_forbidden": NOT_EXPECTED,
    "invalid_key": "has a key that is not a text",
    "json_invalid": "is not JSON",
    **dict.fromkeys(
        ("string_type", "string_sub_type", "string_unicode", "json_type", "bytes_type"),
        MUST_BE_TEXT,
    ),
    "string_not_ascii": "must be plain ASCII",
    "string_too_short": lambda context: _at_least(context["min_length"], "character"),
    "string_too_long": lambda context: _at_most(context["max_length"], "character"),
    "string_pattern_mismatch": "does not have the form that is needed here",
    "too_short": lambda context: _at_least(context["min_length"], "entry", "entries"),
    "too_long": lambda context: _at_most(context["max_length"], "entry", "entries"),
    **dict.fromkeys(("bool_type", "bool_parsing"), MUST_BE_BOOLEAN),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), MUST_BE_WHOLE_NUMBER),
    "int_parsing_size": "has too many digits",
    **dict.fromkeys(
        ("float_type", "float_parsing", "decimal_type", "decimal_parsing"), MUST_BE_NUMBER
    ),
    **dict.fromkeys(("fraction_type", "fraction_parsing"), MUST_BE_NUMBER),
    **dict.fromkeys(("complex_type", "complex_str_parsing"), MUST_BE_NUMBER),
    "finite_number": "must be a finite number",
    "decimal_max_digits": lambda context: _at_most(context["max_digits"], "digit"),
    "decimal_max_places": lambda context: _at_most(context["decimal_places"], "decimal place"),
    "decimal_whole_digits": lambda context: _at_most(
        context["whole_digits"], "digit before the point", "digits before the point"
    ),
    "greater_than": lambda context: f"must be more than {_format_limit(context['gt'])}",
    "greater_than_equal": lambda context: f"must be at least {_format_limit(context['ge'])}",
    "less_than": lambda context: f"must be less than {_format_limit(context['lt'])}",
    "less_than_equal": lambda context: f"must be at most {_format_limit(context['le'])}",
    "multiple_of": lambda context: f"must be a multiple of {_format_limit(context['multiple_of'])}",
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type", "deque_type", "iterable_type"),
        MUST_BE_LIST,
    ),
    **dict.fromkeys(
        ("dict_type", "frozen_dict_type", "ordered_dict_type", "counter_type", "mapping_type"),
        MUST_BE_OBJECT,
    ),
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dataclass_type", "dataclass_exact_type"),
        MUST_BE_OBJECT,
    ),
    "none_required": "must be null or left out",
    "literal_error": lambda context: f"must be {_unquoted(context['expected'])}",
    "enum": lambda context: f"must be {_unquoted(context['expected'])}",
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        MUST_BE_DATE,
    ),
    **dict.fromkeys(
        ("time_type", "time_parsing", "datetime_type", "datetime_parsing"), MUST_BE_TIME
    ),
    **dict.fromkeys(("datetime_object_invalid", "datetime_from_date_parsing"), MUST_BE_TIME),
    **dict.fromkeys(("timezone_naive", "timezone_aware", "timezone_offset"), MUST_BE_TIME),
    **dict.fromkeys(("date_past", "datetime_past"), "must be in the past"),
    **dict.fromkeys(("date_future", "datetime_future"), "must be in the future"),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), MUST_BE_DURATION),
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation"), MUST_BE_URL),
    "url_too_long": lambda context: _at_most(context["max_length"], "character"),
    "url_scheme": lambda context: f"must begin with {_unquoted(context['expected_schemes'])}",
    **dict.fromkeys(("uuid_type", "uuid_parsing", "uuid_version"), MUST_BE_UUID),
    **dict.fromkeys(
        ("path_not_file", "path_not_directory"), "must name a file or folder that is there"
    ),
    "recursion_loop": "is a part of itself",
    "recursion_depth_exceeded": "nests too deep",
}


# Codes by the type of pydantic's error; the first pattern that matches counts. The types may change
# with pydantic's versions, the codes are part of the API.
FINDING_CODES: Final = (
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
DEFAULT_CODE: Final = "does-not-fit"


def finding_code(kind: str) -> str:
    """Return the finding code for a type of pydantic error."""
    return next((code for names, code in FINDING_CODES if names.fullmatch(kind)), DEFAULT_CODE)


def validation_findings(
    error: ValidationError,
    model: type[BaseModel] | None = None,
    patterns: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    """Yield a finding for each error. `patterns` has messages for regular expressions, `model` the
    known names to suggest."""
    for fault in error.errors(include_url=False, include_input=False):
        kind, path = fault["type"], tuple(part for part in fault["loc"] if part != KEY_MARKER)
        detail = describe_error(kind, fault.get("ctx", {}), patterns)
        if KEY_MARKER in fault["loc"]:
            detail = f"has a name that {detail}"
        if kind == "extra_forbidden" and model is not None:
            detail += did_you_mean(str(path[-1]), _known_members(model, path[:-1]))
        yield Finding(code=finding_code(kind), pointer=json_pointer(path), detail=detail)


def describe_error(kind: str, context: Context, patterns: Mapping[str, str] | None = None) -> str:
    """Describe an error, to be read after the name of the place."""
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])  # raised by one of our validators
    if kind == "string_pattern_mismatch" and patterns and context["pattern"] in patterns:
        return patterns[context["pattern"]]
    words = MESSAGES.get(kind, DEFAULT_MESSAGE)
    return words if isinstance(words, str) else words(context)


def _known_members(model: type[BaseModel], path: Sequence[str | int]) -> Collection[str]:
    """Return the members that the object at `path` can have."""
    parts, shape = _schema_parts(model), _schema_parts(model).whole
    for length in range(1, len(path) + 1):
        part = parts.part(tuple(path[:length]))
        if part is None:
            return ()
        shape = part.shape
    return declared_names(shape)


@cache
def _schema_parts(model: type[BaseModel]) -> Parts:
    return Parts(model.model_json_schema())


def _at_least(number: int, one: str, many: str = "") -> str:
    return f"must have at least {counted(number, one, many)}"


def _at_most(number: int, one: str, many: str = "") -> str:
    return f"must have at most {counted(number, one, many)}"


def _unquoted(expected: object) -> str:
    return str(expected).replace("'", "")


def _format_limit(limit: object) -> str:
    match limit:
        case timedelta():
            return format_duration(limit)
        case float():
            return f"{limit:g}"
        case "datetime.timedelta(0)":  # pydantic's limit where it validates JSON
            return "0s"
        case _:
            return str(limit)
