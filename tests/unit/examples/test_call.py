from __future__ import annotations

import pytest
from saga_orchestrator.examples.call import canonical


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'{"a": 1, "b": 50.00}', b'{"b":50.0,"a":1}'),
        (b'{"a": 1e16}', b'{"a": 1E+16}'),
    ],
)
def test_spellings_of_one_request_are_equal(first: bytes, second: bytes) -> None:
    assert canonical(first) == canonical(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'{"a": 12345678901234567.89}', b'{"a": 12345678901234567.21}'),
        (b'{"a": 1e-400}', b'{"a": 0}'),
        (b'{"a": 1e400}', b'{"a": 2e400}'),
        (b"no json", b"no JSON"),
    ],
)
def test_different_requests_are_not_equal(first: bytes, second: bytes) -> None:
    assert canonical(first) != canonical(second)


def test_canonical_form_of_usual_numbers_is_stable() -> None:
    assert canonical(b'{"b": 42.5, "a": [1, 1e-7]}') == b'{"a": [1, 1e-07], "b": 42.5}'


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"1e9999999999999999999", b"[" * 100_000])
def test_body_that_is_not_json_is_unchanged(body: bytes) -> None:
    assert canonical(body) == body
