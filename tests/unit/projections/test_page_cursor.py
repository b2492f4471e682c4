"""Page cursors: an issued text is accepted, and no other text is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.testing import NOON, SAGA_ID
from saga_orchestrator.projections.errors import InvalidCursor
from saga_orchestrator.projections.listing import PageCursor

TIMES = st.datetimes(timezones=st.just(UTC))


@given(st.uuids(), st.none() | TIMES)
def test_page_cursor_survives_encoding(saga_id: object, parked_at: datetime | None) -> None:
    place = PageCursor(str(saga_id), parked_at)

    assert PageCursor.decode(place.encode(), in_queue=parked_at is not None) == place


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
    place = PageCursor(SAGA_ID, NOON + timedelta(microseconds=1))

    assert PageCursor.decode(place.encode(), in_queue=True).parked_at == place.parked_at
