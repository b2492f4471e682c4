"""A secret that went out is in nothing that is recorded, however it is spelled when it returns."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from itertools import cycle
from typing import Final
from urllib.parse import unquote

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import (
    Direction,
    NotSent,
    Response,
    ResponseLost,
    classify,
    redact_result,
)
from saga_orchestrator.fsm.formats.redaction import MAX_ESCAPE_DEPTH, Redaction
from saga_orchestrator.fsm.formats.strict_json import Json

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOKEN: Final = "ab/cd+ef=Q7zz12345678"

SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)
PLAIN = st.text(st.characters(min_codepoint=0x61, max_codepoint=0x7A), max_size=6)
WAYS = st.lists(st.integers(0, 9), min_size=1, max_size=12)
IN_JSON = {'"': [r"\""], "\\": [r"\\"], "/": [r"\/", "/"]}


def in_json(character: str, way: int) -> str:
    """`character` inside of a JSON string, in one of the ways that RFC 8259 allows."""
    code = f"{ord(character):04x}"
    ways = [*IN_JSON.get(character, [character]), rf"\u{code}", rf"\u{code.upper()}"]
    return ways[way % len(ways)]


def in_url(character: str, way: int) -> str:
    code = f"{ord(character):02x}"
    ways = [f"%{code}", f"%{code.upper()}"]
    return character if way % 3 == 2 and character.isalnum() else ways[way % 2]


def in_html(character: str, way: int) -> str:
    named = {"+": "&plus;", "/": "&sol;", "=": "&equals;", "<": "&lt;", "&": "&amp;", '"': "&quot;"}
    ways = [
        f"&#{ord(character)};",
        f"&#x{ord(character):x};",
        named.get(character, f"&#x{ord(character):04X};"),
    ]
    return ways[way % 3]


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """`text` as the inside of a JSON string, percent-encoded or with entities before that."""
    for spelling in draw(st.lists(st.sampled_from([in_url, in_html]), max_size=2)):
        text = "".join(map(spelling, text, cycle(draw(WAYS))))
    return "".join(map(in_json, text, cycle(draw(WAYS))))


@st.composite
def documents(draw: st.DrawFn, secret: str) -> str:
    """JSON with `secret` in a value or in the name of a member, at some depth."""
    before, after = draw(PLAIN), draw(PLAIN)
    document = f'"{before} {draw(spelled(secret))} {after}"'
    for shape in draw(st.lists(st.sampled_from("[{:"), max_size=4)):
        match shape:
            case "[":
                document = f"[{document}, 12345678901234567.89, null]"
            case "{":
                document = f'{{"detail": {document}, "n": 1e2}}'
            case ":" if document.startswith('"'):
                document = f'{{{document}: [true, "\\u00e9\\n"]}}'
            case _:
                document = f"[[{document}]]"
    return document


def texts_in(value: Json) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [*value, *(text for member in value.values() for text in texts_in(member))]
        case list():
            return [text for item in value for text in texts_in(item)]
        case _:
            return []


def decoded(text: str) -> Iterator[str]:
    """As other libraries read it."""
    yield text
    for _ in range(MAX_ESCAPE_DEPTH):
        yield unescape(text)
        yield unquote(text)
        text = unescape(unquote(text))
        yield text


@given_any(st.data(), SECRETS, st.sampled_from([200, 402, 500]))
def test_secret_in_any_spelling_is_removed(data: st.DataObject, secret: str, status: int) -> None:
    document = data.draw(documents(secret)).encode()

    reply = redact_result(Response(status, {}, document), Redaction([f"Bearer {secret}"]))

    outcome = classify(reply, Direction.ACTION, now=lambda: NOON)
    recorded = [outcome.reason, *texts_in(outcome.output)]
    assert not any(secret in plain for text in recorded for plain in decoded(text))


@given_any(st.data(), st.text(st.sampled_from("abcXYZ0189+/=-_."), min_size=8, max_size=40))
def test_redaction_removes_only_the_secret(data: st.DataObject, secret: str) -> None:
    document = data.draw(documents(secret)).encode()

    kept = Redaction([secret]).redact_bytes(document)

    assert [text for text in texts_in(json.loads(kept)) if "[secret]" in text]
    outside = kept.split(b"[secret]")
    assert document.startswith(outside[0])
    assert document.endswith(outside[-1])


@pytest.mark.parametrize("spelled", ["%5c%2530", r"%5c\u002530", r"&#92;%\u00330"])
def test_backslash_of_a_secret_is_not_an_escape(spelled: str) -> None:
    redaction = Redaction(["Bearer 0000000000000\\0"])

    kept = redaction.redact_bytes(f'"0000000000000{spelled}"'.encode())

    assert kept == b'"[secret]"'


@given_any(st.binary(max_size=200))
def test_document_without_a_secret_is_unchanged(document: bytes) -> None:
    assert Redaction([TOKEN]).redact_bytes(document) == document


@pytest.mark.parametrize(
    "text",
    [
        r'{"sent": "Bearer ab\/cd+ef=Q7zz12345678"}',
        r'{"sent": "Bearer ab/cd\u002Bef=Q7zz12345678"}',
        r'{"Bearer ab\/cd\u002bef=Q7zz12345678": 1}',
        r'{"inner": "{\"sent\": \"ab\\\/cd\\u002Bef=Q7zz12345678\"}"}',
        "no such account: /accounts?token=ab%2Fcd%2bef%3DQ7zz12345678",
        "<p>ab&#47;cd&#x2B;ef&equals;Q7zz12345678</p>",
        r"{'sent': 'ab/cd\x2bef=Q7zz12345678'}",
        "ab%252Fcd%252Bef%253DQ7zz12345678",
        r'{"cut": "short ab\/cd+ef=Q7zz12345678',
        TOKEN.encode().hex(),
        b64encode(TOKEN.encode()).decode(),
    ],
)
def test_secret_in_every_usual_encoding_is_found(text: str) -> None:
    kept = Redaction([f"Bearer {TOKEN}"]).redact_text(text)

    assert "[secret]" in kept
    assert "Q7zz" not in kept
    assert TOKEN.encode().hex() not in kept


@pytest.mark.parametrize(
    ("came", "kept"),
    [
        ("user:hunter2hunter2 is locked", "[secret] is locked"),
        ("wrong password hunter2hunter2", "wrong password [secret]"),
        ("user is locked", "user is locked"),
    ],
)
def test_password_in_basic_credentials_is_removed(came: str, kept: str) -> None:
    basic = f"Basic {b64encode(b'user:hunter2hunter2').decode()}"

    assert Redaction([basic]).redact_text(came) == kept


@pytest.mark.parametrize("kind", [ResponseLost, NotSent])
def test_secret_is_removed_from_a_transport_error(kind: type[ResponseLost] | type[NotSent]) -> None:
    assert redact_result(kind(f"bad line: {TOKEN}"), Redaction([TOKEN])) == kind(
        "bad line: [secret]"
    )


def test_secret_is_removed_from_names_and_values_of_parsed_json() -> None:
    value: Json = {TOKEN: [f"a {TOKEN}", 7, None, {"deep": "ab%2Fcd%2Bef=Q7zz12345678"}]}

    kept = Redaction([TOKEN]).redact_json(value)

    assert kept == {"[secret]": ["a [secret]", 7, None, {"deep": "[secret]"}]}


def test_deeply_nested_escapes_take_bounded_time() -> None:
    document = b"%25" * 200_000 + b"\\" * 200_000

    assert Redaction([TOKEN]).redact_bytes(document) == document
