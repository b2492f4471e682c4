"""Every form of an expectation can fail, and holds where it should."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.blackbox.expectations import differences, wrong_sequence
from saga_orchestrator.tests.blackbox.json_values import Json, parse_json
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall


@pytest.mark.parametrize(
    ("expected", "fitting", "other"),
    [
        ("running", "running", "completed"),
        (1, 1, True),
        (1.0, 1.0, "1.0"),
        (None, None, 0),
        ("/^a.c$/", "abc", "abcd"),
        ({"one_of": [200, 202]}, 202, 409),
        ({"not": "running"}, "parked", "running"),
        ({"at_least": 1, "at_most": "2s"}, 1.5, 2.5),
        ({"at_least": 1}, 1, "1"),
        ({"size": 2}, [1, 2], [1]),
        ({"has": [{"n": 1}]}, [{"n": 2}, {"n": 1, "m": 3}], [{"n": 2}]),
        ({"in_order": ["a", "b"]}, ["a", "x", "b"], ["b", "a"]),
        ({"a": {"b": None}}, {"a": {"c": 1}}, {"a": {"b": 1}}),
        ({"a": 1}, {"a": 1, "b": 2}, [1]),
        ([1, [2]], [1, [2]], [1, [2, 3]]),
    ],
)
def test_value_that_does_not_fit_is_a_difference(
    expected: Json, fitting: Json, other: Json
) -> None:
    assert differences(expected, fitting) == []
    assert len(differences(expected, other, "member")) == 1


def test_numbers_are_compared_as_decimals() -> None:
    expected = {"number": "12345678901234567.89"}

    assert differences(expected, parse_json("12345678901234567.890")) == []
    assert differences(expected, parse_json("12345678901234567.88"), "amount") == [
        "amount: 12345678901234567.88 is not the number 12345678901234567.89"
    ]


@pytest.mark.parametrize(
    ("expected", "fitting", "other"),
    [
        (["a1", "a2"], "a1 a2", "a2 a1"),
        (["a1"], "a1", "a1 a1"),
        (["a1 x2"], "a1 a1", "a1"),
        (["a1 x0-1", "c1"], "c1", "a1 a1 c1"),
        (["a1+"], "a1 a1 a1", ""),
        (["a1*", "c1"], "c1", "c1 a1"),
        (["a1", ["a2", "a3"]], "a1 a3 a2", "a2 a1 a3"),
    ],
)
def test_calls_must_be_exactly_those_expected(
    expected: list[str | list[str]], fitting: str, other: str
) -> None:
    assert wrong_sequence(expected, calls(fitting)) == []
    assert wrong_sequence(expected, calls(other)) == [
        f"calls: {other or 'none'}; expected {expected}"
    ]


def calls(labels: str) -> list[ReceivedCall]:
    return [ReceivedCall(label, "POST", f"/{label}", {}, None) for label in labels.split()]
