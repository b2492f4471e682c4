from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject, parse_untrusted
from saga_orchestrator.fsm.runtime.orchestrator import IdempotencyKey
from saga_orchestrator.fsm.testing.strategies import json_values, texts
from saga_orchestrator.http.wire.errors import InvalidIdempotencyKey
from saga_orchestrator.http.wire.headers import former_digest, parse_idempotency_key, request_digest
from saga_orchestrator.http.wire.requests import StartRequest


def body_of(text: str) -> JsonObject:
    body = parse_untrusted(text.encode())
    assert isinstance(body, dict)
    return body


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
    assert parse_idempotency_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "a b", '"a b"', '"a', '"a"b"', '"a\\x"', "é", "\x7f"])
def test_invalid_idempotency_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        parse_idempotency_key(header)


@given(st.dictionaries(texts, json_values))
def test_digest_does_not_depend_on_the_order_of_members(body: dict[str, Json]) -> None:
    turned = dict(reversed(list(body.items())))

    assert request_digest(turned) == request_digest(body)


@pytest.mark.parametrize(
    ("body", "other_body"),
    [
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": [null]}', '{"a": []}'),
        ('{"input": {"a": null}}', '{"input": {}}'),
        ('{"a": 12345678901234567.89}', '{"a": 12345678901234567.21}'),
        ('{"a": 1e-400}', '{"a": 0}'),
        ('{"a": 9007199254740993}', '{"a": 9007199254740992.0}'),
        ('{"version": 1}', "{}"),
        ('{"step_data": []}', "{}"),
    ],
)
def test_different_requests_have_different_digests(body: str, other_body: str) -> None:
    assert request_digest(body_of(body)) != request_digest(body_of(other_body))


@pytest.mark.parametrize(
    ("body", "other_body"),
    [
        ('{"a": 50}', '{"a": 50.00}'),
        ('{"a": 50.0}', '{"a": 5e1}'),
        ('{"a": [{"b": 0.10}]}', '{"a": [{"b": 1e-1}]}'),
        ('{"a": -0.0}', '{"a": 0}'),
        ('{"a": "é", "b": 1}', '{"b": 1, "a": "\\u00e9"}'),
        ("{}", '{"tags": {}, "input": null, "step_data": null, "version": null}'),
        ("{}", '{"input": {}, "deadline": null, "start_at": null, "callback_url": null}'),
    ],
)
def test_spellings_of_a_request_have_one_digest(body: str, other_body: str) -> None:
    assert request_digest(body_of(body)) == request_digest(body_of(other_body))


def test_omitted_members_are_null_or_empty() -> None:
    optional = [field for field in StartRequest.model_fields.values() if not field.is_required()]

    assert optional
    assert all(field.get_default(call_default_factory=True) in (None, {}) for field in optional)


def test_the_longest_numbers_that_are_read_have_a_digest() -> None:
    body = body_of('{"a": ' + "9" * 400 + ', "b": 1e399, "c": ' + f"{'9' * 400}.{'9' * 400}" + "}")

    assert len(request_digest(body)) == 33


@pytest.mark.parametrize(
    ("body", "recorded"),
    [  # as the first version made them of bodies whose numbers it had read as floats
        (
            '{"saga_type": "trip", "entity_id": 1, "step_data": [{"amount": 50.00}], "tags": {}}',
            "1221c65e0cb630fe9a638834b743886428ba45101c38f16b8efe2aaa873e5bf3",
        ),
        (
            '{"a": 12345678901234567.89, "b": [1E5, 1e-7, 5, "é"]}',
            "4a095b72121324de09f47c9e72bfe9d097fc1473a86a3625eecf71f0835337ac",
        ),
    ],
)
def test_digest_of_a_former_version_is_still_compared(body: str, recorded: str) -> None:
    given_body = body_of(body)
    key = IdempotencyKey("k", request_digest(given_body), partial(former_digest, given_body))

    assert key.matches(bytes.fromhex(recorded))
    assert key.matches(request_digest(given_body))
    assert not key.matches(bytes(32))
