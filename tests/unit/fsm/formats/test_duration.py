from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.formats.duration import MAX_DURATION, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("0s", timedelta()),
        ("1.5m", timedelta(seconds=90)),
        ("24h", timedelta(days=1)),
        ("3660d", MAX_DURATION),
    ],
)
def test_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "5 s", "-5s", "s", "5S", "1e3s", "PT5S", "٣s", "5s\n"])
def test_text_without_number_or_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9999999999d", "1.1234567s", "12345678901ms"])
def test_too_many_digits_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has too many digits: write at most 9"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1h30m", "1m 30s"])
def test_several_units_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has several units; write one number and one unit"):
        parse_duration(text)


def test_long_text_is_shortened_in_the_error() -> None:
    with pytest.raises(ValueError, match="x…' is not a duration"):
        parse_duration("x" * 2000)


@pytest.mark.parametrize("text", ["3661d", "999999999d"])
def test_more_than_ten_years_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than ten years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0ms"),
        (timedelta(days=2), "2d"),
        (timedelta(hours=36), "36h"),
        (timedelta(seconds=90), "90s"),
        (timedelta(milliseconds=1_234_567), "1234567ms"),
        (timedelta(microseconds=1_500), "1.5ms"),
    ],
)
def test_duration_is_formatted_in_its_largest_whole_unit(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.timedeltas(timedelta(), timedelta(days=11)))
def test_round_trip_keeps_the_value(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
