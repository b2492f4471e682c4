"""Summaries and page cursors of lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.testing import NOON, SAGA_ID
from saga_orchestrator.projections.errors import InvalidCursor
from saga_orchestrator.projections.listing import PageCursor, SagaSummary, summary_view

TIMES = st.datetimes(timezones=st.just(UTC))


def test_summary_as_json() -> None:
    summary = SagaSummary(
        saga_id="018f",
        saga_type="trip",
        definition_version=2,
        entity_id=7,
        status=SagaStatus.PARKED,
        current_step=None,
        error="no",
        parked_at=NOON,
        parked={"reason": "no", "not_done": ["pay"]},
        paused=False,
        tags={"shop": "north"},
        version=5,
        created_at=NOON,
        updated_at=NOON,
    )

    assert summary_view(summary) == {
        "saga_id": "018f",
        "saga_type": "trip",
        "definition_version": 2,
        "entity_id": 7,
        "status": "parked",
        "current_step": None,
        "error": "no",
        "parked": {"reason": "no", "not_done": ["pay"]},
        "paused": False,
        "tags": {"shop": "north"},
        "version": 5,
        "created_at": "2026-03-01T12:00:00.000000Z",
        "updated_at": "2026-03-01T12:00:00.000000Z",
    }


@given(st.uuids(), st.none() | TIMES)
def test_page_cursor_survives_encoding(saga_id: object, parked_at: datetime | None) -> None:
    cursor = PageCursor(str(saga_id), parked_at)

    assert PageCursor.decode(cursor.encode(), in_queue=parked_at is not None) == cursor


def test_page_cursor_of_the_other_order_is_refused() -> None:
    listed, queued = PageCursor(SAGA_ID).encode(), PageCursor(SAGA_ID, NOON).encode()

    for text, in_queue in ((listed, True), (queued, False)):
        with pytest.raises(InvalidCursor):
            PageCursor.decode(text, in_queue=in_queue)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SAGA_ID,
        f"_{SAGA_ID}",
        f"2026-13-01T12:00:00.000000Z_{SAGA_ID}",
        f"2026-03-01T12:00:00Z_{SAGA_ID}",
        f"2026-03-01T12:00:00.000000Z_{SAGA_ID}\n",
        f"2026-03-01T12:00:00.000000Z_{SAGA_ID.upper()}",
        "2026-03-01T12:00:00.000000Z",
    ],
)
def test_text_that_is_no_page_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        PageCursor.decode(text, in_queue=True)


def test_page_cursor_keeps_microseconds() -> None:
    cursor = PageCursor(SAGA_ID, NOON + timedelta(microseconds=1))

    assert PageCursor.decode(cursor.encode(), in_queue=True).parked_at == cursor.parked_at
