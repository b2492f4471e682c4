"""No words of pydantic reach anybody, whatever type of error it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import ErrorType
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.schema import PATTERN_MESSAGES, DefinitionModel
from saga_orchestrator.fsm.definitions.validation_errors import (
    MESSAGES,
    describe_error,
    finding_code,
)
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject
from saga_orchestrator.http.participants import config
from saga_orchestrator.http.wire import requests
from saga_orchestrator.http.wire.errors import InvalidRequest

TYPES = sorted(get_args(ErrorType))
# What pydantic tells with its errors, by name.
CONTEXT: dict[str, Any] = {
    **dict.fromkeys(("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length"), 3),
    **dict.fromkeys(("max_digits", "decimal_places", "whole_digits", "actual_length"), 3),
    **dict.fromkeys(("expected", "expected_schemes", "expected_tags"), "'red' or 'green'"),
    **dict.fromkeys(("class", "class_name", "method_name", "field_type", "error_type"), "x"),
    **dict.fromkeys(("discriminator", "tag", "attribute", "encoding", "encoding_error"), "x"),
    "pattern": "^[a-z]+$",
    "error": ValueError("write a text of ours"),
    "tz_expected": 0,
    "tz_actual": 1,
    "expected_version": 4,
    "mapping_type": "x",
}
RAW = re.compile(
    r"Input|Field|Extra|permitted|required|should|unable|valid |instance|dictionary|array|string|"
    r"boolean|integer|argument|Value error|Assertion|\^|\$|timedelta|pydantic|None|True|False"
)


@pytest.mark.parametrize("kind", TYPES)
def test_each_error_type_has_its_own_message(kind: str) -> None:
    words = describe_error(kind, CONTEXT)

    assert not RAW.search(words)
    assert 8 <= len(words) <= 100
    assert words != raw(kind)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("missing", "missing"),
        ("extra_forbidden", "unexpected"),
        ("string_type", "wrong-type"),
        ("int_parsing", "wrong-type"),
        ("bool_parsing", "wrong-type"),
        ("int_from_float", "wrong-type"),
        ("dict_type", "wrong-type"),
        ("model_type", "wrong-type"),
        ("model_attributes_type", "wrong-type"),
        ("string_pattern_mismatch", "bad-format"),
        ("datetime_parsing", "bad-format"),
        ("time_delta_type", "bad-format"),
        ("url_scheme", "bad-format"),
        ("string_too_short", "too-short"),
        ("too_long", "too-long"),
        ("int_parsing_size", "too-long"),
        ("greater_than_equal", "out-of-range"),
        ("literal_error", "not-one-of"),
        ("value_error", "does-not-fit"),
        ("a_type_of_tomorrow_that_is_new", "does-not-fit"),
    ],
)
def test_each_error_type_has_a_code(kind: str, code: str) -> None:
    assert finding_code(kind) == code


def raw(kind: str) -> str | None:
    try:
        return PydanticKnownError(kind, CONTEXT).message()  # type: ignore[arg-type]
    except (KeyError, TypeError):
        return None  # its context is another one


def test_messages_exist_only_for_existing_error_types() -> None:
    of_settings = {"path_not_file", "path_not_directory", "string_sub_type"}

    assert set(MESSAGES) - of_settings <= set(TYPES)


@pytest.mark.parametrize(
    ("kind", "context", "words"),
    [
        ("greater_than", {"gt": timedelta(seconds=90)}, "must be more than 90s"),
        ("greater_than", {"gt": "datetime.timedelta(0)"}, "must be more than 0s"),
        ("less_than_equal", {"le": 100.0}, "must be at most 100"),
        ("too_short", {"min_length": 1}, "must have at least 1 entry"),
        ("too_long", {"max_length": 200}, "must have at most 200 entries"),
        ("string_too_long", {"max_length": 200}, "must have at most 200 characters"),
        ("literal_error", {"expected": "'park', 'continue' or 'stop'"}, "must be park, continue"),
    ],
)
def test_message_names_limits_and_choices(kind: str, context: dict[str, Any], words: str) -> None:
    assert describe_error(kind, context).startswith(words)


def patterns(schema: Json) -> Iterator[str]:
    match schema:
        case dict():
            yield from (pattern for pattern in [schema.get("pattern")] if isinstance(pattern, str))
            for member in schema.values():
                yield from patterns(member)
        case list():
            for member in schema:
                yield from patterns(member)


MODELS: list[tuple[type[BaseModel], dict[str, str]]] = [
    (DefinitionModel, dict(PATTERN_MESSAGES)),
    (config.ParticipantModel, config.PARTICIPANT_PATTERN_MESSAGES),
    *(
        (model, dict(requests.PATTERN_WORDS))
        for model in vars(requests).values()
        if isinstance(model, type) and issubclass(model, requests.Body | requests.Query)
    ),
]


@pytest.mark.parametrize(
    ("model", "words"), MODELS, ids=lambda model: getattr(model, "__name__", "")
)
def test_message_shows_no_regular_expression(model: type[BaseModel], words: dict[str, str]) -> None:
    """A duration is read by a function of ours, which says what is wrong."""
    shown = {text for text in patterns(model.model_json_schema()) if "ms|s|m" not in text}

    assert shown <= set(words)


STEP: JsonObject = {"name": "a", "participant": "p", "action": {"path": "/"}, "effect": "none"}


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"particpant": "p"}, "/steps/0/particpant", "is not expected; did you mean participant?"),
        ({"wehn": "x"}, "/steps/0/wehn", "is not expected; did you mean when?"),
        ({"zzz": 1}, "/steps/0/zzz", "is not expected"),
        (
            {"action": {"path": "/", "metod": "POST"}},
            "/steps/0/action/metod",
            "is not expected; did you mean method?",
        ),
        (
            {"action": {"path": "/", "retry": {"attempt": 3}}},
            "/steps/0/action/retry/attempt",
            "is not expected; did you mean attempts?",
        ),
        (
            {"compensation": {"path": "/", "on_fail": "park"}},
            "/steps/0/compensation/on_fail",
            "is not expected; did you mean on_failure?",
        ),
        ({"action": {}}, "/steps/0/action/path", "is missing"),
        (
            {"name": "1"},
            "/steps/0/name",
            "must begin with a letter and have only letters, digits, - and _, at most 63",
        ),
        (
            {"output": {"a b": "${response.body}"}},
            "/steps/0/output/a b",
            "has a name that must begin with a letter and have only letters, digits, - and _,"
            " at most 63",
        ),
        ({"pivot": "yes"}, "/steps/0/pivot", "must be true or false"),
        ({"after": "x"}, "/steps/0/after", "must be a list"),
    ],
)
def test_invalid_member_of_a_definition_is_described_plainly(
    members: JsonObject, pointer: str, detail: str
) -> None:
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition({"saga": "trip", "version": 1, "steps": [{**STEP, **members}]})

    assert (pointer, detail) in [
        (finding.pointer, finding.detail) for finding in refusal.value.findings
    ]


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        (
            {"name": "a", "action": {"path": "/"}, "effect": "none"},
            "add participant:, the name of the service that the action calls",
        ),
        (
            {"name": "a", "sleep": "1s", "participant": "p"},
            "only an action has a participant: leave it out",
        ),
    ],
)
def test_participant_is_refused_without_an_action(step: JsonObject, detail: str) -> None:
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition({"saga": "trip", "version": 1, "steps": [step]})

    assert [finding.detail for finding in refusal.value.findings] == [detail]


def test_fault_of_a_whole_object_names_the_object() -> None:
    with pytest.raises(InvalidDefinition, match=r"^the definition: must be an object$"):
        parse_definition([])
    with pytest.raises(InvalidRequest, match=r"^the body: must be an object$"):
        requests.validate_body(requests.StartRequest, [])  # type: ignore[arg-type]


def test_invalid_request_is_described_plainly() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        requests.validate_body(
            requests.StartRequest, {"saga_tpye": "x", "entity_id": 1, "version": "1"}
        )

    assert {finding.pointer: finding.detail for finding in refusal.value.findings} == {
        "/saga_type": "is missing",
        "/saga_tpye": "is not expected; did you mean saga_type?",
        "/version": "must be a whole number",
    }
