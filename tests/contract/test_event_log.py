"""The contract of the log, for PostgreSQL, the portable mode and memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import pytest
from saga_orchestrator.eventstore.errors import (
    Fenced,
    InvalidStreamId,
    LogUnavailable,
    WrongExpectedVersion,
)
from saga_orchestrator.eventstore.event import StreamId, shard_stream
from saga_orchestrator.eventstore.event_log import (
    MAX_PAGE_BYTES,
    Document,
    EventLog,
    KeyClaim,
    PutResult,
    may_have_more,
)
from saga_orchestrator.eventstore.hash_chain import find_broken_event
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

OpenLog = Callable[[], EventLog]
DATABASES: Final[Mapping[str, tuple[DatabaseMode, str]]] = {
    "postgres": ("postgresql", "database_url"),
    "portable": ("portable", "portable_database_url"),
}


@pytest.fixture(params=["memory", "postgres", "portable"])
async def open_log(request: pytest.FixtureRequest) -> AsyncIterator[OpenLog]:
    """Return a function that opens logs on one store, each a separate owner."""
    opened: list[EventLog] = []
    store = MemoryStore()
    mode, database = DATABASES.get(request.param, ("postgresql", ""))
    url = request.getfixturevalue(database) if database else ""

    def open_one() -> EventLog:
        opened.append(PostgresLog(url, mode=mode) if url else InMemoryLog(store))
        return opened[-1]

    yield open_one
    for log in opened:
        await log.close()


@pytest.fixture
async def log(open_log: OpenLog) -> EventLog:
    """Return a log that owns the shards 0 to 3."""
    log = open_log()
    await log.claim(range(4), recorded_at=NOON)
    return log


async def test_an_append_is_read_back_as_it_was_returned(log: EventLog) -> None:
    stream = make_stream_id(1)

    recorded = await log.append(stream, 0, [make_event("A", b'{"a":1}'), make_event("B")])

    assert list(await log.read_stream(stream)) == list(recorded)
    assert [(event.seq, event.version, event.type) for event in recorded] == [
        (2, 1, "A"),
        (3, 2, "B"),
    ]


async def test_a_claim_is_recorded_in_the_stream_of_the_shard(log: EventLog) -> None:
    await log.claim([2], recorded_at=NOON)

    events = await log.read_stream(shard_stream(2))

    assert [(e.type, e.version, e.epoch) for e in events] == [
        ("ShardOwned", 1, 1),
        ("ShardOwned", 2, 2),
    ]


async def test_a_claim_gives_the_next_epoch_of_every_shard(log: EventLog) -> None:
    assert await log.claim([3, 4, 3], recorded_at=NOON) == {3: 2, 4: 1}


async def test_a_shard_that_was_not_claimed_takes_no_append(log: EventLog) -> None:
    with pytest.raises(Fenced) as refusal:
        await log.append(make_stream_id(9), 0, [make_event()])

    assert refusal.value.shard_id == 9


async def test_a_second_owner_fences_the_first(log: EventLog, open_log: OpenLog) -> None:
    stream = make_stream_id(1)
    await log.append(stream, 0, [make_event("Before")])

    await open_log().claim([1], recorded_at=NOON)

    with pytest.raises(Fenced):
        await log.append(stream, 1, [make_event("After"), make_event("After")])
    assert [event.type for event in await log.read_shard(1)] == [
        "ShardOwned",
        "Before",
        "ShardOwned",
    ]


async def test_a_fenced_owner_keeps_its_other_shards(log: EventLog, open_log: OpenLog) -> None:
    await open_log().claim([1], recorded_at=NOON)

    lost, kept = await asyncio.gather(
        log.append(make_stream_id(1), 0, [make_event()]),
        log.append(make_stream_id(2), 0, [make_event()]),
        return_exceptions=True,
    )

    assert isinstance(lost, Fenced)
    assert not isinstance(kept, BaseException)
    assert [event.seq for event in kept] == [2]


async def test_a_fenced_owner_that_claims_again_can_append(
    log: EventLog, open_log: OpenLog
) -> None:
    other = open_log()
    stream = make_stream_id(1)
    await log.append(stream, 0, [make_event()])
    await other.claim([1], recorded_at=NOON)
    await other.append(stream, 1, [make_event()])

    await log.claim([1], recorded_at=NOON)

    (event,) = await log.append(stream, 2, [make_event()])
    assert (event.seq, event.version, event.epoch) == (6, 3, 3)


async def test_concurrent_claims_end_with_one_owner_an_epoch(open_log: OpenLog) -> None:
    logs = [open_log() for _ in range(6)]

    claims = await asyncio.gather(*(log.claim([5], recorded_at=NOON) for log in logs))

    assert sorted(epochs[5] for epochs in claims) == [1, 2, 3, 4, 5, 6]
    for log, epochs in zip(logs, claims, strict=True):
        appending = log.append(make_stream_id(5, epochs[5]), 0, [make_event()])
        if epochs[5] == 6:
            await appending
        else:
            with pytest.raises(Fenced):
                await appending
    assert find_broken_event(await logs[0].read_shard(5)) is None


@pytest.mark.parametrize("expected", [0, 1, 3, 99])
async def test_a_wrong_expected_version_is_refused(log: EventLog, expected: int) -> None:
    stream = make_stream_id(1)
    await log.append(stream, 0, [make_event(), make_event()])

    with pytest.raises(WrongExpectedVersion) as refusal:
        await log.append(stream, expected, [make_event()])

    assert (refusal.value.expected, refusal.value.actual) == (expected, 2)
    assert len(await log.read_stream(stream)) == 2


async def test_a_new_owner_knows_the_versions_of_its_streams(
    log: EventLog, open_log: OpenLog
) -> None:
    stream = make_stream_id(1)
    await log.append(stream, 0, [make_event(), make_event()])
    heir = open_log()
    await heir.claim([1], recorded_at=NOON)

    for wrong in (0, 1, 3):
        with pytest.raises(WrongExpectedVersion):
            await heir.append(stream, wrong, [make_event()])

    (event,) = await heir.append(stream, 2, [make_event()])
    assert (event.version, event.seq) == (3, 5)


async def test_append_with_wrong_version_is_refused_alone_among_many(
    log: EventLog, open_log: OpenLog
) -> None:
    await log.append(make_stream_id(1, 7), 0, [make_event()])
    heir = open_log()
    await heir.claim(range(4), recorded_at=NOON)

    results = await asyncio.gather(
        *(heir.append(make_stream_id(1, number), 0, [make_event()]) for number in range(20)),
        return_exceptions=True,
    )

    wrong = [n for n, result in enumerate(results) if isinstance(result, WrongExpectedVersion)]
    assert wrong == [7]
    assert sum(isinstance(result, BaseException) for result in results) == 1
    assert find_broken_event(await heir.read_shard(1)) is None


async def test_two_appends_with_the_same_expected_version_have_one_winner(log: EventLog) -> None:
    stream = make_stream_id(1)

    results = await asyncio.gather(
        *(log.append(stream, 0, [make_event()]) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(result, WrongExpectedVersion) for result in results) == 4
    assert len(await log.read_stream(stream)) == 1


async def test_fifty_appenders_leave_no_gap(log: EventLog) -> None:
    async def work(number: int) -> None:
        stream = make_stream_id(number % 4, number)
        for version in range(0, 20, 2):
            await log.append(stream, version, [make_event(), make_event()])

    await asyncio.gather(*(work(number) for number in range(50)))

    for shard_id in range(4):
        events = await log.read_shard(shard_id)
        assert find_broken_event(events) is None
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
    for number in range(50):
        stream = await log.read_stream(make_stream_id(number % 4, number))
        assert [event.version for event in stream] == list(range(1, 21))


async def test_a_stream_is_read_in_pages(log: EventLog) -> None:
    stream = make_stream_id(1)
    recorded = list(await log.append(stream, 0, [make_event() for _ in range(5)]))

    assert list(await log.read_stream(stream, after_version=1, limit=2)) == recorded[1:3]
    assert list(await log.read_stream(stream, after_version=5)) == []


async def test_a_shard_is_read_in_pages(log: EventLog) -> None:
    recorded = list(await log.append(make_stream_id(1), 0, [make_event() for _ in range(5)]))

    assert list(await log.read_shard(1, after_seq=2, limit=2)) == recorded[1:3]
    assert list(await log.read_shard(1, after_seq=6)) == []


@pytest.mark.parametrize(
    ("sizes", "first_page"),
    [
        ([MAX_PAGE_BYTES // 4] * 6, 4),
        ([MAX_PAGE_BYTES // 4 + 1] * 6, 4),
        ([2 * MAX_PAGE_BYTES, 1, 1], 1),
        ([1, 2 * MAX_PAGE_BYTES, 1], 2),
        ([MAX_PAGE_BYTES - 1, 1, 1], 2),
        ([10] * 5, 5),
    ],
)
async def test_a_page_ends_with_the_event_that_fills_it(
    log: EventLog, sizes: list[int], first_page: int
) -> None:
    stream = make_stream_id(1)
    recorded = list(
        await log.append(stream, 0, [make_event("A", b'"%b"' % (b"x" * (n - 2))) for n in sizes])
    )

    of_stream = list(await log.read_stream(stream))
    of_shard = list(await log.read_shard(1, after_seq=1))
    rest = list(await log.read_stream(stream, after_version=first_page))

    assert of_stream == of_shard == recorded[:first_page]
    assert may_have_more(of_stream, 1000) == (first_page < len(sizes))
    assert rest == recorded[first_page:]


async def test_many_streams_are_read_in_order_of_stream_and_version(log: EventLog) -> None:
    streams = [make_stream_id(number % 4, number) for number in range(450)]
    await asyncio.gather(
        *(log.append(stream, 0, [make_event(), make_event()]) for stream in streams)
    )

    events = await log.read_streams([*reversed(streams), streams[0], make_stream_id(1, 999)])

    assert [(event.stream_id, event.version) for event in events] == [
        (stream, version) for stream in sorted(streams) for version in (1, 2)
    ]


async def test_heads_name_the_newest_event_of_each_shard(log: EventLog) -> None:
    recorded = await log.append(make_stream_id(1), 0, [make_event(), make_event()])

    heads = await log.heads()

    assert sorted(heads) == [0, 1, 2, 3]
    assert (heads[1].seq, heads[1].epoch, heads[1].hash) == (3, 1, recorded[-1].hash)


async def test_a_payload_of_any_bytes_comes_back(log: EventLog) -> None:
    payloads = [b'{"nul":"\\u0000"}', '{"ü":"€🎈"}'.encode(), b"", bytes(range(256))]

    await log.append(make_stream_id(1), 0, [make_event(payload=payload) for payload in payloads])

    assert [event.payload for event in await log.read_stream(make_stream_id(1))] == payloads


async def test_a_text_that_is_not_a_canonical_uuid_names_no_stream(log: EventLog) -> None:
    for text in (
        "x",
        make_stream_id(1).upper(),
        make_stream_id(1).replace("-", ""),
        make_stream_id(1) + "\n",
    ):
        with pytest.raises(InvalidStreamId):
            await log.append(StreamId(text), 0, [make_event()])
        with pytest.raises(InvalidStreamId):
            await log.read_stream(StreamId(text))


async def test_a_key_stands_for_the_stream_that_was_first(log: EventLog) -> None:
    claims = await asyncio.gather(
        *(
            log.claim_key("k", digest=b"%d" % n, stream_id=make_stream_id(1, n), claimed_at=NOON)
            for n in range(20)
        )
    )

    assert len(set(claims)) == 1
    winner = int(claims[0].digest)
    assert claims[0] == KeyClaim(make_stream_id(1, winner), b"%d" % winner)


async def test_looking_for_a_key_does_not_bind_it(
    log: EventLog,
) -> None:
    assert await log.find_key("k") is None
    assert await log.find_key("k") is None

    bound = await log.claim_key("k", digest=b"d", stream_id=make_stream_id(1), claimed_at=NOON)

    assert await log.find_key("k") == bound == KeyClaim(make_stream_id(1), b"d")


async def test_a_version_of_a_document_never_changes(log: EventLog) -> None:
    first = await log.put_document("definition", "order", 1, b"one", put_at=NOON)
    again = await log.put_document("definition", "order", 1, b"one", put_at=NOON)
    other = await log.put_document("definition", "order", 1, b"two", put_at=NOON)

    assert (first, again, other) == (PutResult.CREATED, PutResult.SAME, PutResult.DIFFERENT)
    assert await log.get_document("definition", "order", 1) == Document(
        kind="definition", name="order", version=1, content=b"one", put_at=NOON
    )


async def test_the_newest_document_is_found_without_its_version(log: EventLog) -> None:
    for version in (1, 10, 2):
        await log.put_document("definition", "order", version, b"%d" % version, put_at=NOON)

    newest = await log.get_document("definition", "order", None)

    assert newest is not None
    assert (newest.version, newest.content) == (10, b"10")
    assert await log.get_document("definition", "other", None) is None


async def test_documents_are_listed_by_name_and_version(log: EventLog) -> None:
    for name, version in (("b", 1), ("a", 2), ("a", 1), ("B", 1)):
        await log.put_document("definition", name, version, b"", put_at=NOON)
    await log.put_document("other", "a", 1, b"", put_at=NOON)

    listed = await log.list_documents("definition")

    assert [(document.name, document.version) for document in listed] == [
        ("B", 1),
        ("a", 1),
        ("a", 2),
        ("b", 1),
    ]


async def test_a_closed_log_refuses_to_append(log: EventLog) -> None:
    await log.ping()
    await log.close()
    await log.close()

    with pytest.raises(LogUnavailable):
        await log.append(make_stream_id(1), 0, [make_event()])
    with pytest.raises(LogUnavailable):
        await log.claim([1], recorded_at=NOON)
    with pytest.raises(LogUnavailable):
        await log.ping()
