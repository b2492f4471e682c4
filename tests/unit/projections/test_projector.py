from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.projections.projector import ContiguousWatermark

lengths = st.lists(st.integers(1, 5), min_size=1, max_size=30)


def appends_of(start: int, sizes: list[int]) -> list[tuple[int, int]]:
    """Return ranges of seq that follow one another, the first one after `start`."""
    ranges = []
    for size in sizes:
        ranges.append((start + 1, start + size))
        start += size
    return ranges


def reached(start: int, seen: list[tuple[int, int]]) -> int:
    """Return the last seq before which no event is missing, by checking each number."""
    numbers = {number for first, last in seen for number in range(first, last + 1)}
    while start + 1 in numbers:
        start += 1
    return start


@given(st.integers(0, 1000), lengths, st.randoms())
def test_watermark_never_passes_a_gap(start: int, sizes: list[int], random: object) -> None:
    appends = appends_of(start, sizes)
    random.shuffle(appends)  # type: ignore[attr-defined]
    watermark = ContiguousWatermark(start)

    for number, (first, last) in enumerate(appends, 1):
        watermark.add(first, last)
        assert watermark.seq == reached(start, appends[:number])

    assert (watermark.seq, watermark.appends_behind_gap) == (start + sum(sizes), 0)


@given(lengths, st.data())
def test_repeated_append_changes_nothing(sizes: list[int], data: st.DataObject) -> None:
    appends = appends_of(0, sizes)
    seen = data.draw(st.lists(st.sampled_from(appends), max_size=60))
    watermark = ContiguousWatermark(0)

    for first, last in seen:
        watermark.add(first, last)

    assert watermark.seq == reached(0, seen)


@given(lengths, st.data())
def test_reading_the_log_closes_gaps(sizes: list[int], data: st.DataObject) -> None:
    appends = appends_of(0, sizes)
    seen = data.draw(st.lists(st.sampled_from(appends), unique=True))
    # The log is read up to the end of an append: it is all there or not at all.
    read = data.draw(st.sampled_from([0, *(last for _, last in appends)]))
    watermark = ContiguousWatermark(0)
    for first, last in seen:
        watermark.add(first, last)

    watermark.advance_to(read)

    whole = [(1, read)] if read else []
    assert watermark.seq == reached(0, [*seen, *whole])
    assert watermark.appends_behind_gap == sum(first > watermark.seq for first, _ in seen)


def test_reading_known_events_does_not_move_the_watermark_back() -> None:
    watermark = ContiguousWatermark(5)

    watermark.advance_to(3)

    assert watermark.seq == 5
