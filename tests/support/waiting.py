"""Waiting for something outside of this process: asked again and again, and only for so long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

TIME_LIMIT = timedelta(seconds=30)  # far longer than anything here takes, even on a busy machine
POLL_SECONDS = 0.01

Found = TypeVar("Found")


def wait_until(ask: Callable[[], Found], what: str, within: timedelta = TIME_LIMIT) -> Found:
    """The first true answer. `what` is missing otherwise."""
    end = time.monotonic() + within.total_seconds()
    while not (found := ask()):
        assert time.monotonic() < end, f"{what}: not within {within}"
        threading.Event().wait(POLL_SECONDS)
    return found


def wait_for_event(event: threading.Event, what: str, within: timedelta = TIME_LIMIT) -> None:
    assert event.wait(within.total_seconds()), f"{what}: not within {within}"
