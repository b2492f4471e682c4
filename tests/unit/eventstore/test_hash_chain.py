from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.eventstore.event import EMPTY_HEAD, GENESIS_HASH, Head, RecordedEvent
from saga_orchestrator.eventstore.hash_chain import chain_events, find_broken_event
from saga_orchestrator.eventstore.memory import InMemoryLog
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id


@pytest.fixture
async def shard() -> list[RecordedEvent]:
    """Return a shard with two owners and two streams."""
    log = InMemoryLog()
    await log.claim([1], recorded_at=NOON)
    await log.append(make_stream_id(1, 1), 0, [make_event("A"), make_event("B")])
    await log.append(make_stream_id(1, 2), 0, [make_event("C", b'{"x":1}')])
    await log.claim([1], recorded_at=NOON)
    await log.append(make_stream_id(1, 1), 2, [make_event("D")])
    return list(await log.read_shard(1))


def test_the_hash_of_an_event_is_settled() -> None:
    """A log written by one release is verified by every later one."""
    head = Head(seq=1, epoch=4, hash=GENESIS_HASH)

    (row,) = chain_events(head, 1, make_stream_id(1), 2, [make_event("Happened", b'{"a":1}')])

    assert row[:5] == (1, 2, make_stream_id(1), 3, 4)
    assert row.hash.hex() == "3eb8fa5b22f333b1259f1e575d3b488241477c245fb422425bcd8cf90db8dfbd"


def test_events_of_one_append_are_linked_as_if_each_came_alone() -> None:
    later = make_event("B")._replace(recorded_at=NOON + timedelta(microseconds=1))
    events = [make_event("A"), later, later, make_event("C")]

    rows = chain_events(EMPTY_HEAD, 1, make_stream_id(1), 0, events)

    alone: list[RecordedEvent] = []
    head = EMPTY_HEAD
    for version, event in enumerate(events):
        alone += chain_events(head, 1, make_stream_id(1), version, [event])
        head = Head(alone[-1].seq, alone[-1].epoch, alone[-1].hash)
    assert rows == alone


async def test_recorded_shard_has_no_broken_event(shard: list[RecordedEvent]) -> None:
    assert find_broken_event(shard) is None
    assert find_broken_event([]) is None


async def test_a_shard_can_be_verified_from_any_head(shard: list[RecordedEvent]) -> None:
    before = shard[2]

    assert find_broken_event(shard[3:], Head(before.seq, before.epoch, before.hash)) is None
    assert find_broken_event(shard[3:], EMPTY_HEAD) == shard[3]
    assert find_broken_event(shard[3:], Head(before.seq, before.epoch, GENESIS_HASH)) == shard[3]


@pytest.mark.parametrize(
    "change",
    [
        {"shard_id": 2},
        {"seq": 9},
        {"stream_id": make_stream_id(1, 9)},
        {"version": 9},
        {"epoch": 2},
        {"type": "Z"},
        {"schema_version": 2},
        {"recorded_at": NOON + timedelta(microseconds=1)},
        {"payload": b'{"x":2}'},
        {"hash": GENESIS_HASH},
    ],
)
async def test_a_change_of_any_column_is_found(
    shard: list[RecordedEvent], change: dict[str, Any]
) -> None:
    altered = shard[3]._replace(**change)

    assert find_broken_event([*shard[:3], altered, *shard[4:]]) == altered


async def test_a_missing_a_double_and_a_swapped_event_are_found(
    shard: list[RecordedEvent],
) -> None:
    assert find_broken_event(shard[:2] + shard[3:]) == shard[3]
    assert find_broken_event([*shard[:3], shard[2], *shard[3:]]) == shard[2]
    assert find_broken_event([shard[0], shard[2], shard[1], *shard[3:]]) == shard[2]


async def test_an_epoch_begins_with_the_event_that_says_so(shard: list[RecordedEvent]) -> None:
    head = Head(shard[0].seq, 2, shard[0].hash)
    (forged,) = chain_events(head, 1, shard[1].stream_id, 0, [shard[1].as_new_event])

    assert forged._replace(epoch=1, hash=b"") == shard[1]._replace(hash=b"")
    assert find_broken_event([shard[0], forged]) == forged


@given(st.text("ab", min_size=1, max_size=4), st.binary(max_size=4), st.integers(1, 3))
def test_a_byte_cannot_move_from_the_type_to_the_payload(
    kind: str, payload: bytes, moved: int
) -> None:
    (longer,) = chain_events(
        EMPTY_HEAD, 1, make_stream_id(1), 0, [make_event(kind + "a" * moved, payload)]
    )
    (shorter,) = chain_events(
        EMPTY_HEAD, 1, make_stream_id(1), 0, [make_event(kind, b"a" * moved + payload)]
    )

    assert longer.hash != shorter.hash
