from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.codec import format_time
from saga_orchestrator.http.wire.types import YEARS, parse_time

TIMES = st.datetimes(timezones=st.just(UTC)).filter(lambda time: time.year in YEARS)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01t12:00:00z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 12:00:00.5+02:00", datetime(2026, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-03-01T12:00:00.123456789Z", datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_time_of_rfc_3339_is_parsed(text: str, time: datetime) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "20260301T120000Z",
        "2026-W09-7T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:00+24:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "٢٠٢٦-03-01T12:00:00Z",
    ],
)
def test_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(TIMES)
def test_formatted_time_is_parsed_again(time: datetime) -> None:
    assert parse_time(format_time(time)) == time
