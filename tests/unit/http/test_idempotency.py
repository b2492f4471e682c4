from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.strict_json import Json, parse
from saga_orchestrator.http.errors import InvalidIdempotencyKey
from saga_orchestrator.http.idempotency import digest, parse_key


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        ('  "abc" ', "abc"),
        (r'"a\"b\\c"', r"a\"b\\c".replace("\\\\", "\\").replace('\\"', '"')),
        ("a\\b", "a\\b"),
        ("x" * 255, "x" * 255),
    ],
)
def test_a_key_is_the_same_bare_or_quoted(header: str, key: str) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "a b", '"a b"', '"a', '"a"b"', '"a\\x"', "é", "\x7f"])
def test_what_is_no_key(header: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        parse_key(header)


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(st.dictionaries(st.text(), VALUES))
def test_the_digest_is_of_the_request_and_not_of_how_it_is_written(body: dict[str, Json]) -> None:
    turned = dict(reversed(list(body.items())))

    assert digest(turned) == digest(body)


@pytest.mark.parametrize(
    ("one", "other"), [('{"a": 1}', '{"a": 2}'), ('{"a": 1}', '{"a": "1"}'), ("{}", '{"a": null}')]
)
def test_another_request_has_another_digest(one: str, other: str) -> None:
    assert digest(json.loads(one)) != digest(json.loads(other))


def test_the_longest_integer_that_is_read_has_a_digest() -> None:
    body = parse(b'{"a": ' + b"9" * 4300 + b"}")

    assert len(digest(body)) == 32  # type: ignore[arg-type]
