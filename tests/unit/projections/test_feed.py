from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.eventstore.event import SHARD_COUNT, RecordedEvent, StreamId
from saga_orchestrator.projections.errors import InvalidCursor
from saga_orchestrator.projections.feed import MAX_SEQ, FeedCursor

seqs = st.lists(st.integers(0, MAX_SEQ), min_size=SHARD_COUNT, max_size=SHARD_COUNT).map(tuple)
cursors = seqs.map(FeedCursor)


def make_event(shard_id: int, seq: int) -> RecordedEvent:
    return RecordedEvent(
        shard_id=shard_id,
        seq=seq,
        stream_id=StreamId(f"018f0000-0000-7000-8000-0000000001{shard_id:02x}"),
        version=1,
        epoch=1,
        type="SagaCompleted",
        schema_version=1,
        recorded_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        payload=b"{}",
        hash=bytes(32),
    )


@given(cursors)
def test_feed_cursor_survives_encoding(cursor: FeedCursor) -> None:
    assert FeedCursor.decode(cursor.encode()) == cursor


@given(cursors, cursors)
def test_feed_cursors_with_equal_texts_are_equal(first: FeedCursor, second: FeedCursor) -> None:
    assert (first.encode() == second.encode()) == (first == second)


def test_feed_cursor_of_a_log_of_millions_fits_into_a_url() -> None:
    assert len(FeedCursor((1_000_000,) * SHARD_COUNT).encode()) == 258


@given(st.text(alphabet="ABCabc019-_=+/ é", max_size=300))
def test_text_that_is_no_feed_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        FeedCursor.decode(text)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: "B" + text[1:],
        lambda text: text + "=",
        lambda text: text[:20] + "\n" + text[20:],
    ],
    ids=["cut", "longer", "another format", "padded", "with a line break"],
)
def test_damaged_feed_cursor_is_refused(damage) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidCursor):
        FeedCursor.decode(damage(FeedCursor(tuple(range(SHARD_COUNT))).encode()))


def test_feed_cursor_moves_in_the_shards_of_the_events_only() -> None:
    start = FeedCursor((5,) * SHARD_COUNT)

    after = start.after_events([make_event(3, 6), make_event(0, 9), make_event(3, 8)])

    assert after.seqs == (9, 5, 5, 8, *(5,) * (SHARD_COUNT - 4))


@given(cursors, cursors, st.integers(0, 1000))
def test_feed_cursor_never_moves_back_or_beyond_the_end(
    start: FeedCursor, ends: FeedCursor, by: int
) -> None:
    after = start.advanced(by, ends)

    for was, is_now, end in zip(start.seqs, after.seqs, ends.seqs, strict=True):
        assert was <= is_now <= max(was, min(was + by, end))
