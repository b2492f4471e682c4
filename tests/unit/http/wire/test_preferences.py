from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.wire.headers import Preferences, parse_preferences


def waits(seconds: int) -> Preferences:
    return Preferences(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("wait=5", waits(5)),
        ("wait=0", waits(0)),
        ("WAIT = 5", waits(5)),
        ('wait="5"', waits(5)),
        ("wait=5; unit=s", waits(5)),
        ("wait=999", waits(60)),
        ("wait=5, wait=6", waits(5)),
        ('handling="a, wait=9", wait=7', waits(7)),
        ("return=minimal,wait=5", waits(5)),
        ("wait=-1", Preferences()),
        ("wait=1.5", Preferences()),
        ("wait=٣", Preferences()),
        ("wait", Preferences()),
        ('wait="5', Preferences()),
        ("", Preferences()),
        (",,;", Preferences()),
        ("respond-async", Preferences(respond_async=True)),
        ("Respond-Async, wait=5", Preferences(timedelta(seconds=5), respond_async=True)),
    ],
)
def test_header_is_parsed_as_preferences(header: str, meant: Preferences) -> None:
    assert parse_preferences(header) == meant


@pytest.mark.parametrize(
    ("preferences", "applied", "wait"),
    [
        (Preferences(), None, 30),
        (waits(0), "wait=0", 0),
        (waits(60), "wait=60", 60),
        (Preferences(timedelta(seconds=5), respond_async=True), "respond-async", 0),
    ],
)
def test_preferences_name_what_is_applied(
    preferences: Preferences, applied: str | None, wait: int
) -> None:
    assert preferences.applied == applied
    assert preferences.wait_or(timedelta(seconds=30)) == timedelta(seconds=wait)


@given(st.text() | st.text(alphabet='wait=5,;" \\-'))
def test_wait_of_any_header_is_within_bounds(header: str) -> None:
    wait = parse_preferences(header).wait_or(timedelta())

    assert timedelta() <= wait <= timedelta(seconds=60)
