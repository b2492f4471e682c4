from __future__ import annotations

import pytest
from saga_orchestrator.examples.call import canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 1, "b": 50.00}', b'{"b":50.0,"a":1}'),
        (b'{"a": 1e16}', b'{"a": 1E+16}'),
    ],
)
def test_one_request_in_two_spellings_is_one(one: bytes, other: bytes) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 12345678901234567.89}', b'{"a": 12345678901234567.21}'),
        (b'{"a": 1e-400}', b'{"a": 0}'),
        (b'{"a": 1e400}', b'{"a": 2e400}'),
        (b"no json", b"no JSON"),
    ],
)
def test_two_requests_are_two(one: bytes, other: bytes) -> None:
    assert canonical(one) != canonical(other)


def test_what_was_recorded_for_usual_numbers_stays_the_same() -> None:
    assert canonical(b'{"b": 42.5, "a": [1, 1e-7]}') == b'{"a": [1, 1e-07], "b": 42.5}'


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"1e9999999999999999999", b"[" * 100_000])
def test_what_is_not_json_stays_as_it_is(body: bytes) -> None:
    assert canonical(body) == body
