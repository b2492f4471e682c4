from __future__ import annotations

import asyncio

from saga_orchestrator.eventstore import Fenced, Head, NewEvent, StreamId, WrongExpectedVersion
from saga_orchestrator.eventstore.batch import REMEMBERED_STREAMS, Append, OwnedShard, draft
from saga_orchestrator.tests.event_builders import a_stream, an_event

HEAD = Head(seq=7, epoch=2, hash=bytes(32))


def an_append(
    stream_id: StreamId, expected_version: int, *events: NewEvent, shard_id: int = 1
) -> Append:
    done = asyncio.get_running_loop().create_future()
    return Append(stream_id, shard_id, expected_version, events or (an_event(),), 2, done)


async def test_events_are_numbered_in_order_of_arrival() -> None:
    one, two = a_stream(1, 1), a_stream(1, 2)
    appends = [
        an_append(one, 0, an_event(), an_event()),
        an_append(two, 0),
        an_append(one, 2),
    ]

    drafted = draft({1: OwnedShard(HEAD)}, appends)

    assert [(row.stream_id, row.seq, row.version) for row in drafted.rows] == [
        (one, 8, 1),
        (one, 9, 2),
        (two, 10, 1),
        (one, 11, 3),
    ]
    assert {row.epoch for row in drafted.rows} == {2}
    assert drafted.before == {1: HEAD}
    assert drafted.after == {1: Head(11, 2, drafted.rows[-1].hash)}


async def test_only_the_wrong_append_is_refused() -> None:
    shard = OwnedShard(HEAD, {a_stream(1, 1): 5})
    right, wrong = an_append(a_stream(1, 1), 5), an_append(a_stream(1, 1), 5)

    drafted = draft({1: shard}, [right, wrong, an_append(a_stream(1, 2), 0)])

    assert drafted.accepted[0][0] is right
    ((refused, error),) = drafted.refused
    assert refused is wrong
    assert isinstance(error, WrongExpectedVersion)
    assert (error.expected, error.actual) == (5, 6)
    assert [row.seq for row in drafted.rows] == [8, 9]


async def test_a_shard_of_somebody_else_takes_nothing() -> None:
    drafted = draft({1: OwnedShard(HEAD)}, [an_append(a_stream(2), 0, shard_id=2)])

    ((_, error),) = drafted.refused
    assert isinstance(error, Fenced)
    assert drafted.rows == []


async def test_a_draft_names_the_streams_that_should_exist_and_are_not_remembered() -> None:
    known, begun, unknown = a_stream(1, 1), a_stream(1, 2), a_stream(1, 3)
    appends = [
        an_append(known, 1),
        an_append(begun, 0),
        an_append(begun, 1),
        an_append(unknown, 4),
    ]

    drafted = draft({1: OwnedShard(HEAD, {known: 1})}, appends)

    assert drafted.unknown == [unknown]
    ((refused, _),) = drafted.refused
    assert refused is appends[-1]


async def test_a_draft_changes_nothing_that_is_remembered() -> None:
    shard = OwnedShard(HEAD, {a_stream(1): 1})

    draft({1: shard}, [an_append(a_stream(1), 1)])

    assert shard == OwnedShard(HEAD, {a_stream(1): 1})


def test_the_stream_unused_for_longest_is_forgotten() -> None:
    shard = OwnedShard(HEAD)
    for number in range(REMEMBERED_STREAMS):
        shard.remember(a_stream(1, number), 1)
    shard.remember(a_stream(1, 0), 2)

    shard.remember(a_stream(1, REMEMBERED_STREAMS), 1)

    assert len(shard.versions) == REMEMBERED_STREAMS
    assert shard.versions[a_stream(1, 0)] == 2
    assert a_stream(1, 1) not in shard.versions
