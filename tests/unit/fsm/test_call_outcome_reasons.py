"""Why a participant refused, in whatever shape its framework says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import MAX_REASON_CHARACTERS, Response, one_line, reason_of
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.events import StepNotSent
from saga_orchestrator.fsm.formats.strict_json import Json, serialize


def reply(status: int, body: bytes = b"") -> Response:
    return Response(status, {}, body)


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
def test_a_reason_is_what_the_participant_says_in_one_line(body: bytes, reason: str) -> None:
    assert reason_of(reply(409, body)) == reason


def test_a_status_without_a_phrase_stands_alone() -> None:
    assert reason_of(reply(499)) == "499"


@given(st.text())
def test_one_line_is_one_bounded_line_that_can_be_recorded(text: str) -> None:
    line = one_line(text)

    assert len(line) <= MAX_REASON_CHARACTERS
    assert line.splitlines() in ([], [line])
    encode(StepNotSent(step="a", attempt=1, error=line))


@pytest.mark.parametrize("length", [MAX_REASON_CHARACTERS, MAX_REASON_CHARACTERS + 1])
def test_a_long_reason_is_cut_visibly(length: int) -> None:
    line = one_line("x" * length)

    assert len(line) == MAX_REASON_CHARACTERS
    assert line.endswith("…") is (length > MAX_REASON_CHARACTERS)


@given(SHAPES)
def test_every_shape_gives_one_bounded_line(body: Json) -> None:
    reason = reason_of(reply(409, serialize(body)))

    assert reason.startswith("409")
    assert len(reason) <= MAX_REASON_CHARACTERS
    assert len(reason.splitlines()) == 1


def test_a_body_that_could_not_be_decoded_is_named() -> None:
    refused = Response(402, {}, b"", unreadable="the reply is in the encoding br")

    assert reason_of(refused) == "402 Payment Required (the reply is in the encoding br)"
