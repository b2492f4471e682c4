"""Places in lists: what is given out is taken back, and nothing else."""

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
def test_what_is_given_out_is_taken_back(saga_id: object, parked_at: datetime | None) -> None:
    place = PageCursor(str(saga_id), parked_at)

    assert PageCursor.decode(place.encode(), in_queue=parked_at is not None) == place


def test_places_of_the_two_orders_are_not_mistaken_for_one_another() -> None:
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
def test_what_was_not_given_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        PageCursor.decode(text, in_queue=True)


def test_a_moment_is_kept_to_the_microsecond() -> None:
    place = PageCursor(SAGA_ID, NOON + timedelta(microseconds=1))

    assert PageCursor.decode(place.encode(), in_queue=True).parked_at == place.parked_at
