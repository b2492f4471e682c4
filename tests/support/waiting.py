"""Waiting, with a limit, for events outside of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

TIME_LIMIT = timedelta(seconds=30)  # far longer than anything here takes, even on a busy machine
POLL_SECONDS = 0.01

Value = TypeVar("Value")


def wait_until(poll: Callable[[], Value], what: str, within: timedelta = TIME_LIMIT) -> Value:
    """Return the first true value of `poll`. Fails with `what` if there is none in time."""
    end = time.monotonic() + within.total_seconds()
    while not (value := poll()):
        assert time.monotonic() < end, f"{what}: not within {within}"
        threading.Event().wait(POLL_SECONDS)
    return value


def wait_for_event(event: threading.Event, what: str, within: timedelta = TIME_LIMIT) -> None:
    """Wait until `event` is set. Fails with `what` if it is not in time."""
    assert event.wait(within.total_seconds()), f"{what}: not within {within}"
