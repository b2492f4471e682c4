"""Stories as text."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from saga_orchestrator.examples.saga_client import (
    EventData,
    Order,
    Payment,
    RecordedEvent,
    SagaSnapshot,
    SagaStatus,
)
from saga_orchestrator.examples.scenarios import SCENARIOS, mismatches
from saga_orchestrator.examples.timeline import Paint, timeline_lines, wants_colour

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COMPLETES, DECLINED = SCENARIOS
REJECTED = "process_payment was rejected: 402 card declined"


def event(kind: str, after_ms: int, **data: object) -> RecordedEvent:
    return RecordedEvent(
        version=1,
        type=kind,
        recorded_at=BEGAN + timedelta(milliseconds=after_ms),
        data=EventData.model_validate(data),
    )


DECLINED_STORY = SagaSnapshot(
    saga_id="s1",
    status=SagaStatus(
        saga_type="order_processing", status="compensated", success=False, error=REJECTED
    ),
    events=(
        event("SagaStarted", 0),
        event("StepCalled", 1, step="create_order", attempt=1),
        event("StepRejected", 12, step="process_payment", attempt=2, error="402 card declined"),
        event("CompensationSucceeded", 1234, step="create_order"),
    ),
    orders=(Order(order_id=7, status="CANCELLED", total_amount=50),),
    payments=(),
)


def test_columns_are_aligned_and_the_end_is_shown() -> None:
    assert timeline_lines("Declined", DECLINED_STORY, Paint(on=False)) == [
        "Declined",
        "saga s1, order_processing",
        "      +0 ms  SagaStarted",
        "      +1 ms  StepCalled             create_order     attempt 1",
        "     +12 ms  StepRejected           process_payment  attempt 2, 402 card declined",
        "  +1,234 ms  CompensationSucceeded  create_order",
        "  status           compensated",
        f"  error            {REJECTED}",
        "  order-service    order 7 CANCELLED, 50.00",
        "  payment-service  no payment",
    ]


def test_colour_changes_no_column() -> None:
    plain = timeline_lines("Declined", DECLINED_STORY, Paint(on=False))
    coloured = timeline_lines("Declined", DECLINED_STORY, Paint(on=True))

    assert plain != coloured
    assert [without_colour(line) for line in coloured] == plain


def without_colour(line: str) -> str:
    first, *rest = line.split("\x1b[")
    return first + "".join(each.partition("m")[2] for each in rest)


def test_line_names_actor_and_reason() -> None:
    verb = event("SagaParked", 0).model_copy(update={"actor": "ann", "reason": "on\ncall"})

    lines = timeline_lines("", replace(DECLINED_STORY, events=(verb,)), Paint(on=False))

    assert lines[2] == "  +0 ms  SagaParked    on call, by ann"


def test_a_terminal_is_not_commanded_by_what_it_shows() -> None:
    rude = event("StepRejected", 0, step="pay", error="\x1b[2Jgone")

    lines = timeline_lines("", replace(DECLINED_STORY, events=(rude,)), Paint(on=False))

    assert all(line.isprintable() for line in lines)


def test_timeline_without_events_can_be_printed() -> None:
    lines = timeline_lines("", replace(DECLINED_STORY, events=()), Paint(on=False))

    assert lines[2] == "  status           compensated"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "environ", "wanted"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    out: io.StringIO, environ: dict[str, str], wanted: bool
) -> None:
    assert wants_colour(out, environ) is wanted


def test_expected_end_is_no_complaint() -> None:
    assert list(mismatches(DECLINED, DECLINED_STORY)) == []


def test_unexpected_end_is_named() -> None:
    paid = replace(
        DECLINED_STORY,
        payments=(Payment(payment_id=1, status="PAID", amount=50),),
    )

    assert list(mismatches(DECLINED, paid)) == [
        "One order whose card is declined: payments is ('PAID',), and should be ()"
    ]
    assert len(list(mismatches(COMPLETES, DECLINED_STORY))) == 5
