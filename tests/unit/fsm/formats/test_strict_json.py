from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.formats.strict_json import (
    HALF_SURROGATE_MESSAGE,
    MAX_DEPTH,
    InvalidJson,
    Json,
    parse,
    parse_untrusted,
    serialize,
)
from saga_orchestrator.fsm.testing.strategies import json_values

POISON = [
    b"NaN",
    b"[Infinity]",
    b'{"a": -Infinity}',
    b'"\\u0000"',
    b'{"\\u0000": 1}',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\xed\xa0\x80"',
    b"1e999",
    b"-1e999",
    b'{"a": "b", "c": 1e999}',
    b'{"a": {"b": 1e999}}',
    b'{"a": [1E+0400]}',
    b"9" * 250 + b"e199",
    b"1" * 5000,
    b"1e9999999999999999999",
    b"-1e-9999999999999999999",
    b"",
    b"\xff",
    b"\xef\xbb\xbf1",
    b"[1,]",
    b"{'a': 1}",
    b"01",
    b"1 2",
    b"[" * 1000 + b"]" * 1000,
]


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("data", POISON)
def test_json_that_other_parsers_reject_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson):
        parse(data)


def test_text_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidJson):
        parse('"\ud800"')


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"-9223372036854775809", -9223372036854775809),
        (b"1" * 300, int("1" * 300)),
        (b"1e100", Decimal("1e100")),
        (b'"1e999 \\\\u0000 NaN"', "1e999 \\u0000 NaN"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b' {"a": [true, null]} ', {"a": [True, None]}),
    ],
)
def test_valid_json_keeps_its_value(data: bytes, value: Json) -> None:
    assert parse(data) == value


def test_text_and_bytes_parse_alike() -> None:
    assert parse('{"ä": 1}') == parse('{"ä": 1}'.encode())


def test_untrusted_depth_is_limited() -> None:
    assert serialize(parse_untrusted(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(InvalidJson, match="deeper than 100"):
        parse_untrusted(nested(MAX_DEPTH + 1))


def test_many_sibling_brackets_are_not_deep() -> None:
    flat = b"[" + b",".join([b'{"a":[]}'] * 200) + b"]"

    assert serialize(parse_untrusted(flat)) == flat


def test_depth_of_objects_is_limited_like_that_of_lists() -> None:
    with pytest.raises(InvalidJson, match="deeper"):
        parse_untrusted(b'{"a":' * 101 + b"1" + b"}" * 101)


def test_envelope_around_the_deepest_reply_is_read() -> None:
    envelope = serialize({"output": {"result": [parse_untrusted(nested(MAX_DEPTH))]}})

    assert serialize(parse(envelope)) == envelope


@pytest.mark.parametrize(
    "value",
    [Decimal("Infinity"), Decimal("NaN"), {"a": [Decimal("-Infinity")]}, "\ud800", object()],
)
def test_value_that_is_not_json_is_not_serialized(value: Json) -> None:
    with pytest.raises(InvalidJson):
        serialize(value)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "to Infinity and beyond"])
def test_nan_and_infinity_are_allowed_in_a_text(text: str) -> None:
    assert parse(serialize(text)) == text


def test_recursive_value_is_not_serialized() -> None:
    value: list[Json] = []
    value.append(value)

    with pytest.raises(InvalidJson):
        serialize(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "b": 2, "a": null}',
        b'[{"a": {"b": 1, "b": {}}}]',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a:": 1, "a:": 2}',
        b'{"a": 1, "a": "\\u003a"}',
        b'{"a": 1, "a": "\\u003A"}',
        b'{"b": "::", "a": 1, "a": {"b": 2}}',
        b'{"": 1, "": 1}',
    ],
)
def test_duplicate_member_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson, match="is there twice"):
        parse_untrusted(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": {"a": 1}, "b": {"a": 1}}',
        b'{"a": "b:c:\\u003a", "A": 1}',
        b'[{"a": 1}, {"a": 1}]',
        b'{"a": "\\"a\\": 1", "b": 2}',
    ],
)
def test_members_of_different_objects_may_share_a_name(data: bytes) -> None:
    assert parse_untrusted(data) == json.loads(data)


some_names = st.sampled_from(["a", "b", "a:", ":", "\\u003a", "\\u0061", "é", "\\\\u003a"])
some_json = st.recursive(
    st.sampled_from(["1", "null", '"a:b"', '"\\u003A"', "1.50"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(some_names, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f'"{name}": {value}' for name, value in pairs) + "}"
        )
    ),
    max_leaves=10,
)


@given(some_json)
def test_only_documents_with_a_duplicate_member_are_refused(text: str) -> None:
    repeats = False

    def watch(pairs: list[tuple[str, Json]]) -> None:
        nonlocal repeats
        names = [name for name, _ in pairs]
        repeats = repeats or len(set(names)) < len(names)

    json.loads(text, object_pairs_hook=watch)
    if repeats:
        with pytest.raises(InvalidJson, match="is there twice"):
            parse_untrusted(text.encode())
    else:
        assert serialize(parse_untrusted(text.encode())) == serialize(parse(text))


def test_duplicate_among_many_members_is_found_fast() -> None:
    """Looking for each name among all would take minutes."""
    members = ",".join(f'"member {number}":1' for number in (*range(40_000), 39_999))

    with pytest.raises(InvalidJson, match="member 39999"):
        parse_untrusted(b"{" + members.encode() + b"}")


@pytest.mark.parametrize("number", [b"1" * 401, b"-" + b"9" * 500, b"1" * 4000])
def test_integer_with_too_many_digits_is_refused(number: bytes) -> None:
    with pytest.raises(InvalidJson, match="more than 400 digits"):
        parse_untrusted(b'{"a": [' + number + b"]}")


def test_long_runs_of_digits_are_allowed_in_a_text() -> None:
    text = b'["' + b"1" * 1000 + b'", ' + b"9" * 400 + b"]"

    assert parse_untrusted(text) == ["1" * 1000, 10**400 - 1]


def test_long_integers_of_an_older_log_are_read() -> None:
    assert parse(b"1" * 1000) == int("1" * 1000)


@given(json_values)
def test_round_trip_keeps_the_value(value: Json) -> None:
    assert parse(serialize(value)) == value
    assert serialize(parse(serialize(value))) == serialize(value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"{", "it ends too early"),
        (b'["a', "it ends too early"),
        (b'"\\ud83d', "it ends too early"),
        (b'"\\u00', "it ends too early"),
        (b'"\\ud800"', f"the escape \\\\ud800 {HALF_SURROGATE_MESSAGE}, at byte 1"),
        (b'{"\\ud800": 1}', f"the escape \\\\ud800 {HALF_SURROGATE_MESSAGE}, at byte 2"),
        (
            b'"\xc3\xa4\\uDC00 and so on"',
            f"the escape \\\\uDC00 {HALF_SURROGATE_MESSAGE}, at byte 3",
        ),
        (
            b'"\\\\ud800 \\ud800\\u0041"',
            f"the escape \\\\ud800 {HALF_SURROGATE_MESSAGE}, at byte 9",
        ),
        (b'"\\u12"', "the escape \\\\u needs four hexadecimal digits, at byte 1"),
        (b'"\xff"', "it is not UTF-8 text (byte 2 of line 1)"),
        (b'"\xed\xa0\x80"', "it is not UTF-8 text (byte 2 of line 1)"),
    ],
)
def test_error_names_the_fault_in_plain_words(data: bytes, message: str) -> None:
    with pytest.raises(InvalidJson) as refused:
        parse_untrusted(data)
    assert str(refused.value) == message.replace("\\\\", "\\")


@given(json_values, st.data())
def test_error_names_the_place_of_a_wrong_utf8_byte(value: Json, data: st.DataObject) -> None:
    text = serialize(value).decode().replace(",", ",\n")
    at = data.draw(st.integers(0, len(text)))
    before = text[:at].encode()

    with pytest.raises(InvalidJson) as refused:
        parse(before + b"\xff" + text[at:].encode())

    line = before.split(b"\n")
    assert (
        str(refused.value) == f"it is not UTF-8 text (byte {len(line[-1]) + 1} of line {len(line)})"
    )
