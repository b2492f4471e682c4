from __future__ import annotations

from typing import Any

import pytest
from saga_orchestrator.eventstore.memory import InMemoryLog
from saga_orchestrator.projections.audit.chain import EVENTS_PER_READ, verify_log, verify_shard
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

SHARD = 7


@pytest.fixture
async def log() -> InMemoryLog:
    """A log with two shards that are longer than a page."""
    log = InMemoryLog()
    await log.claim([SHARD, SHARD + 1], recorded_at=NOON)
    for shard_id in (SHARD, SHARD + 1):
        await log.append(
            make_stream_id(shard_id), 0, [make_event() for _ in range(EVENTS_PER_READ + 10)]
        )
    return log


async def test_unchanged_log_is_sound(log: InMemoryLog) -> None:
    audit = await verify_log(log)

    assert (audit.first_bad, audit.events) == (None, 2 * (EVENTS_PER_READ + 11))
    assert {shard: head for shard, head in audit.heads.items() if head.seq} == await log.heads()


@pytest.mark.parametrize("seq", [1, 2, EVENTS_PER_READ, EVENTS_PER_READ + 1, EVENTS_PER_READ + 11])
@pytest.mark.parametrize(
    "forgery", [{"payload": b'{"amount":1}'}, {"type": "Other"}, {"hash": bytes(32)}, {"epoch": 9}]
)
async def test_altered_event_is_reported(
    log: InMemoryLog, seq: int, forgery: dict[str, Any]
) -> None:
    events = log.store.shards[SHARD]
    events[seq - 1] = events[seq - 1]._replace(**forgery)

    audit = await verify_log(log)

    assert audit.first_bad == events[seq - 1]


async def test_removed_event_is_noticed(log: InMemoryLog) -> None:
    events = log.store.shards[SHARD]
    following = events[500]
    del events[499]

    audit = await verify_log(log)

    assert audit.first_bad == following


async def test_inserted_event_is_reported(log: InMemoryLog) -> None:
    events = log.store.shards[SHARD]
    forged = events[500]._replace(seq=501, payload=b'{"forged":true}')
    events.insert(500, forged)

    audit = await verify_log(log)

    assert audit.first_bad == forged


async def test_empty_log_is_sound() -> None:
    audit = await verify_log(InMemoryLog())

    assert (audit.events, audit.first_bad) == (0, None)


@pytest.mark.parametrize("up_to", [0, 1, EVENTS_PER_READ, EVENTS_PER_READ + 1])
async def test_events_after_the_last_wanted_one_are_not_verified(
    log: InMemoryLog, up_to: int
) -> None:
    events = log.store.shards[SHARD]
    events[up_to] = events[up_to]._replace(hash=bytes(32))

    head, bad = await verify_shard(log, SHARD, up_to)

    assert (head.seq, bad) == (up_to, None)
