"""The reason of a refusal is found in the shapes in which frameworks give it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.events import StepNotSent
from saga_orchestrator.fsm.formats.strict_json import Json, serialize
from saga_orchestrator.fsm.refusal_reason import MAX_REASON_CHARACTERS, one_line, refusal_reason

NAMES = st.sampled_from(["detail", "error", "errors", "msg", "loc", "source", "pointer", "x"])
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES | st.text(), inner),
    max_leaves=30,
)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"title": "t", "reason": "r", "message": "m", "error": "e", "detail": "d"}', "409 d"),
        (b'{"title": "t", "reason": "r", "message": "m", "error": "e"}', "409 e"),
        (b'{"title": "t", "reason": "r", "message": "m"}', "409 m"),
        (b'{"title": "t", "reason": "r"}', "409 r"),
        (b'{"title": "t"}', "409 t"),
        (b'{"detail": "", "error": {"code": 5}, "message": "m"}', "409 m"),
        (b'{"detail": 5}', "409 Conflict"),
        (b'["no"]', "409 no"),
        (b'"no"', "409 no"),
        (b"[1, null]", "409 [1, null]"),
        (
            b'{"detail": [{"loc": ["body", "items", 0, "price"], "msg": "field required"}]}',
            "409 body.items.0.price: field required",
        ),
        (
            b'{"detail": [{"loc": ["body"], "msg": "a"}, {"loc": ["path", "x"], "msg": "b"}]}',
            "409 body: a; path.x: b",
        ),
        (b'{"error": {"message": "card declined", "code": 5}}', "409 card declined"),
        (b'{"error": {"code": 5}, "message": "m"}', "409 m"),
        (b'{"error": true, "message": "m"}', "409 m"),
        (b'{"error": "invalid_grant", "error_description": "expired"}', "409 invalid_grant"),
        (b'{"errors": ["no funds", "no card"]}', "409 no funds; no card"),
        (b'{"errors": [{"message": "no funds", "path": ["pay"]}]}', "409 pay: no funds"),
        (
            b'{"errors": [{"title": "Bad", "detail": "too long", "source": {"pointer": "/name"}}]}',
            "409 /name: too long",
        ),
        (
            b'{"errors": {"amount": ["is 0", "is odd"], "id": ["x"]}}',
            "409 amount: is 0; is odd; id: x",
        ),
        (b'{"amount": ["A valid number is required."]}', "409 amount: A valid number is required."),
        (b'[{"message": "m"}]', "409 m"),
        (b'{"detail": " \\n ", "message": "m"}', "409 m"),
        (b'{"detail": [[[[[["deep"]]]]]]}', "409 Conflict"),
        (b'{"a": 1}', "409 Conflict"),
        (b"", "409 Conflict"),
        (b"out of\r\n stock\t!", "409 out of stock !"),
        (b"<html>no</html>", "409 <html>no</html>"),
        (b"\xff\xfe\x00\x01no", "409 no"),
        ("gro\u2028\u00df\x1b[31m".encode(), "409 gro \u00df [31m"),
    ],
)
def test_reason_is_the_text_of_the_body_in_one_line(body: bytes, reason: str) -> None:
    assert refusal_reason(409, body) == reason


def test_status_without_a_phrase_stands_alone() -> None:
    assert refusal_reason(499, b"") == "499"


@given(st.text())
def test_one_line_is_one_bounded_line_that_can_be_recorded(text: str) -> None:
    line = one_line(text)

    assert len(line) <= MAX_REASON_CHARACTERS
    assert line.splitlines() in ([], [line])
    encode(StepNotSent(step="a", attempt=1, error=line))


@pytest.mark.parametrize("length", [MAX_REASON_CHARACTERS, MAX_REASON_CHARACTERS + 1])
def test_long_reason_is_cut_visibly(length: int) -> None:
    line = one_line("x" * length)

    assert len(line) == MAX_REASON_CHARACTERS
    assert line.endswith("…") is (length > MAX_REASON_CHARACTERS)


@given(SHAPES)
def test_every_shape_gives_one_bounded_line(body: Json) -> None:
    reason = refusal_reason(409, serialize(body))

    assert reason.startswith("409")
    assert len(reason) <= MAX_REASON_CHARACTERS
    assert len(reason.splitlines()) == 1


def test_body_that_could_not_be_decoded_is_named() -> None:
    reason = refusal_reason(402, b"", "the reply is in the encoding br")

    assert reason == "402 Payment Required (the reply is in the encoding br)"
