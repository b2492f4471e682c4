from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.codec import decode, encode
from saga_orchestrator.fsm.events import StepSucceeded
from saga_orchestrator.fsm.expressions.template import parse_text, render_path, render_text
from saga_orchestrator.fsm.formats.numbers import format_number
from saga_orchestrator.fsm.formats.strict_json import InvalidJson, parse, parse_untrusted, serialize
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml

literals = st.from_regex(
    r"-?(0|[1-9][0-9]{0,60})(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)


def value_of(literal: str) -> Fraction:
    """Worked out without the reader: of a Decimal's text Fraction takes every digit."""
    parts = re.fullmatch(r"([^.eE]+)(?:\.([0-9]+))?(?:[eE](.+))?", literal)
    assert parts is not None
    whole, point, rest = parts.groups()
    digits = Fraction(int(whole + (point or "")), 10 ** len(point or ""))
    return digits * Fraction(10) ** int(rest or 0)


@given(literals)
def test_number_survives_repeated_round_trips(literal: str) -> None:
    once = serialize(parse_untrusted(literal.encode()))
    again = serialize(parse(once))

    assert Fraction(once.decode()) == value_of(literal)
    assert again == once


@given(literals)
def test_number_in_an_event_keeps_its_value(literal: str) -> None:
    event = StepSucceeded(step="pay", attempt=1, output=[parse_untrusted(literal.encode())])

    recorded = decode("StepSucceeded", 1, encode(event))

    assert recorded == event
    assert Fraction(str(recorded.output[0])) == value_of(literal)  # type: ignore[index]


@given(literals)
def test_number_in_yaml_equals_that_in_json(literal: str) -> None:
    assert parse_yaml(literal) == parse_untrusted(literal.encode())


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ("0", "0"),
        ("50", "50"),
        ("50.0", "50.0"),
        ("50.00", "50.00"),
        ("100.10", "100.10"),
        ("0.1", "0.1"),
        ("-0.0", "-0.0"),
        ("-12.50", "-12.50"),
        ("12345678901234567.89", "12345678901234567.89"),
        ("123456789.123456789", "123456789.123456789"),
        ("1E5", "100000"),
        ("1e16", "10000000000000000"),
        ("1.50e1", "15.0"),
        ("1e-7", "0.0000001"),
        ("5e-324", "0." + "0" * 323 + "5"),
        ("1e-400", "0." + "0" * 399 + "1"),
        ("1e399", "1" + "0" * 399),
        ("0e999", "0"),
        ("-0e999", "-0.0"),
        ("9" * 400, "9" * 400),
        ("9" * 400 + "." + "9" * 400, "9" * 400 + "." + "9" * 400),
    ],
)
def test_number_in_a_text_or_path_keeps_its_digits(literal: str, text: str) -> None:
    scope = {"n": parse_untrusted(literal.encode())}

    assert render_text(parse_text("n=${n}"), scope) == f"n={text}"
    assert render_path(parse_text("/${n}"), scope) == f"/{text}"


@pytest.mark.parametrize(
    "literal",
    [
        "1e400",
        "-1e400",
        "1e-401",
        "10e399",
        "1" * 401,
        "1" * 401 + ".5",
        "0." + "1" * 401,
        "1e1000000000",
        "1e9999999999999999999",
        "1e-9999999999999999999",
    ],
)
def test_number_with_too_many_digits_is_refused(literal: str) -> None:
    for text in (literal, f'{{"a": [{literal}]}}'):
        with pytest.raises(InvalidJson):
            parse_untrusted(text.encode())


@given(
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,60})(\.[0-9]{1,60})?[eE](\+|-)?([0-9]{1,2}|3[0-9]{2}|4[0-9]{2})",
        fullmatch=True,
    )
)
def test_only_numbers_with_too_many_written_digits_are_refused(literal: str) -> None:
    before, _, after = format(Decimal(literal), "f").lstrip("-0").partition(".")

    if max(len(before), len(after)) > 400:
        with pytest.raises(InvalidJson):
            parse_untrusted(literal.encode())
    else:
        assert parse_untrusted(literal.encode()) == Decimal(literal)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"step":"pay","attempt":1,"output":50.0}', "50.0"),
        (b'{"step":"pay","attempt":1,"output":1.2345678901234568e+16}', "12345678901234568"),
        (b'{"step":"pay","attempt":1,"output":1e-7}', "0.0000001"),
    ],
)
def test_number_recorded_as_a_float_is_read_as_its_digits(payload: bytes, text: str) -> None:
    event = decode("StepSucceeded", 1, payload)

    assert isinstance(event, StepSucceeded)
    assert isinstance(event.output, Decimal)
    assert format_number(event.output) == text
