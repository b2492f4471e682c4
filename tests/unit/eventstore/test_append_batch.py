from __future__ import annotations

import asyncio

from saga_orchestrator.eventstore.append_batch import (
    MAX_CACHED_VERSIONS,
    Append,
    OwnedShard,
    plan_batch,
)
from saga_orchestrator.eventstore.errors import Fenced, WrongExpectedVersion
from saga_orchestrator.eventstore.event import Head, NewEvent, StreamId
from saga_orchestrator.tests.support.event_builders import make_event, make_stream_id

HEAD = Head(seq=7, epoch=2, hash=bytes(32))


def an_append(
    stream_id: StreamId, expected_version: int, *events: NewEvent, shard_id: int = 1
) -> Append:
    done = asyncio.get_running_loop().create_future()
    return Append(stream_id, shard_id, expected_version, events or (make_event(),), 2, done)


async def test_events_are_numbered_in_order_of_arrival() -> None:
    first, second = make_stream_id(1, 1), make_stream_id(1, 2)
    appends = [
        an_append(first, 0, make_event(), make_event()),
        an_append(second, 0),
        an_append(first, 2),
    ]

    drafted = plan_batch({1: OwnedShard(HEAD)}, appends)

    assert [(row.stream_id, row.seq, row.version) for row in drafted.rows] == [
        (first, 8, 1),
        (first, 9, 2),
        (second, 10, 1),
        (first, 11, 3),
    ]
    assert {row.epoch for row in drafted.rows} == {2}
    assert drafted.heads_before == {1: HEAD}
    assert drafted.heads_after == {1: Head(11, 2, drafted.rows[-1].hash)}


async def test_append_with_wrong_version_is_refused_alone() -> None:
    shard = OwnedShard(HEAD, {make_stream_id(1, 1): 5})
    right, wrong = an_append(make_stream_id(1, 1), 5), an_append(make_stream_id(1, 1), 5)

    drafted = plan_batch({1: shard}, [right, wrong, an_append(make_stream_id(1, 2), 0)])

    assert drafted.accepted[0][0] is right
    ((refused, error),) = drafted.refused
    assert refused is wrong
    assert isinstance(error, WrongExpectedVersion)
    assert (error.expected, error.actual) == (5, 6)
    assert [row.seq for row in drafted.rows] == [8, 9]


async def test_append_to_a_shard_of_another_owner_is_fenced() -> None:
    drafted = plan_batch({1: OwnedShard(HEAD)}, [an_append(make_stream_id(2), 0, shard_id=2)])

    ((_, error),) = drafted.refused
    assert isinstance(error, Fenced)
    assert drafted.rows == []


async def test_plan_names_expected_streams_that_are_not_cached() -> None:
    known, begun, unknown = make_stream_id(1, 1), make_stream_id(1, 2), make_stream_id(1, 3)
    appends = [
        an_append(known, 1),
        an_append(begun, 0),
        an_append(begun, 1),
        an_append(unknown, 4),
    ]

    drafted = plan_batch({1: OwnedShard(HEAD, {known: 1})}, appends)

    assert drafted.unknown_streams == [unknown]
    ((refused, _),) = drafted.refused
    assert refused is appends[-1]


async def test_plan_does_not_change_owned_shards() -> None:
    shard = OwnedShard(HEAD, {make_stream_id(1): 1})

    plan_batch({1: shard}, [an_append(make_stream_id(1), 1)])

    assert shard == OwnedShard(HEAD, {make_stream_id(1): 1})


def test_least_recently_used_stream_leaves_the_cache() -> None:
    shard = OwnedShard(HEAD)
    for number in range(MAX_CACHED_VERSIONS):
        shard.cache_version(make_stream_id(1, number), 1)
    shard.cache_version(make_stream_id(1, 0), 2)

    shard.cache_version(make_stream_id(1, MAX_CACHED_VERSIONS), 1)

    assert len(shard.versions) == MAX_CACHED_VERSIONS
    assert shard.versions[make_stream_id(1, 0)] == 2
    assert make_stream_id(1, 1) not in shard.versions
