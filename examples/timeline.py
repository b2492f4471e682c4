"""The timeline of a saga as text: its events in columns, then its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TextIO

from .saga_client import Order, Payment, RecordedEvent, SagaSnapshot

GAP = "  "


class Ink(StrEnum):
    """Escape codes of the terminal."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"


class Paint:
    """A function that colours text, or returns it unchanged."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, ink: Ink, text: str) -> str:
        return f"\x1b[{ink}m{text}\x1b[0m" if self._on and ink else text


def wants_colour(out: TextIO, environ: Mapping[str, str]) -> bool:
    return out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def timeline_lines(title: str, story: SagaSnapshot, paint: Paint) -> list[str]:
    status = story.status
    return [
        paint(Ink.BOLD, title),
        f"saga {story.saga_id}, {status.saga_type}",
        *event_lines(story.events, paint),
        result_line("status", paint(status_ink(status.status), status.status)),
        result_line("error", printable(status.error or "none")),
        *(result_line("order-service", held) for held in describe_orders(story.orders)),
        *(result_line("payment-service", held) for held in describe_payments(story.payments)),
    ]


def event_lines(events: Sequence[RecordedEvent], paint: Paint) -> Iterator[str]:
    if not events:
        return
    rows = [event_columns(event, since=events[0].recorded_at) for event in events]
    time_width, type_width, step_width = (
        max(len(row[column]) for row in rows) for column in range(3)
    )
    for time, kind, step, note in rows:
        cells = (
            paint(Ink.DIM, time.rjust(time_width)),
            paint(event_ink(kind), kind) + " " * (type_width - len(kind)),
            step.ljust(step_width),
            note,
        )
        yield (GAP + GAP.join(cells)).rstrip()


def event_columns(event: RecordedEvent, since: datetime) -> tuple[str, str, str, str]:
    after_ms = round((event.recorded_at - since) / timedelta(milliseconds=1))
    data = event.data
    note = [
        f"attempt {data.attempt}" if data.attempt is not None else "",
        *(printable(str(text)) for text in (data.error, event.reason) if text is not None),
        f"by {printable(str(event.actor))}" if event.actor is not None else "",
    ]
    notes = ", ".join(filter(None, note))
    return f"+{after_ms:,} ms", printable(event.type), printable(data.step or ""), notes


def result_line(what: str, how: str) -> str:
    return f"{GAP}{what:<15}{GAP}{how}"


def describe_orders(orders: Sequence[Order]) -> list[str]:
    held = [f"order {each.order_id} {each.status}, {each.total_amount:.2f}" for each in orders]
    return held or ["no order"]


def describe_payments(payments: Sequence[Payment]) -> list[str]:
    held = [f"payment {each.payment_id} {each.status}, {each.amount:.2f}" for each in payments]
    return held or ["no payment"]


def event_ink(kind: str) -> Ink:
    match kind:
        case "SagaCompleted" | "StepSucceeded":
            return Ink.GREEN
        case _ if kind.endswith(("Rejected", "Parked", "Failed", "Abandoned")):
            return Ink.RED
        case _ if "Compensat" in kind:
            return Ink.YELLOW
        case _:
            return Ink.PLAIN


def status_ink(status: str) -> Ink:
    match status:
        case "completed":
            return Ink.GREEN
        case "compensated":
            return Ink.YELLOW
        case _:
            return Ink.RED


def printable(text: str) -> str:
    """Return `text` on one line and without control codes."""
    return "".join(character if character.isprintable() else " " for character in text)
