"""The contract of the inbox, for PostgreSQL, the portable mode and memory."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster.inbox import ANSWER_RETENTION, Inbox, Message
from saga_orchestrator.eventstore.cluster.memory import InMemoryInbox, MemoryCluster
from saga_orchestrator.eventstore.cluster.postgres import PostgresInbox
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode

DATABASES: Final[Mapping[str, tuple[DatabaseMode, str]]] = {
    "postgres": ("postgresql", "database_url"),
    "portable": ("portable", "portable_database_url"),
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SENDER = "00000001-0000-4000-8000-000000000001"


@dataclass(slots=True)
class Aging:
    """An inbox whose answers can be made older."""

    inbox: Inbox
    database_url: str | None = None
    now: datetime = NOON

    async def pass_time(self, time: timedelta) -> None:
        self.now += time
        if self.database_url is not None:
            async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
                older = "update message set answered_at = answered_at - %s"
                await connection.execute(older, [time])


@pytest.fixture(params=["memory", "postgres", "portable"])
async def aging(request: pytest.FixtureRequest) -> AsyncIterator[Aging]:
    if request.param == "memory":
        in_memory = Aging(InMemoryInbox(MemoryCluster(), lambda: in_memory.now))
        yield in_memory
        return
    mode, database = DATABASES[request.param]
    url = request.getfixturevalue(database)
    readers = ReaderPool(url, timedelta(seconds=10), mode=mode)
    yield Aging(PostgresInbox(readers, notifies=mode == "postgresql"), url)
    await readers.close()


@pytest.fixture
def inbox(aging: Aging) -> Inbox:
    return aging.inbox


def a_message(number: int, shard_id: int = 1, body: bytes = b"{}") -> Message:
    message_id = f"0000000{number}-0000-4000-8000-00000000000a"
    return Message(message_id=message_id, shard_id=shard_id, sender=SENDER, body=body)


async def test_a_message_waits_for_the_owner_of_its_shard(inbox: Inbox) -> None:
    await inbox.send(a_message(1))
    await inbox.send(a_message(2, shard_id=2))

    assert list(await inbox.unanswered([1, 3])) == [a_message(1)]


async def test_messages_are_handed_out_in_the_order_in_which_they_came(inbox: Inbox) -> None:
    for number in (3, 1, 2):
        await inbox.send(a_message(number))

    assert list(await inbox.unanswered([1])) == [a_message(3), a_message(1), a_message(2)]


async def test_a_message_that_is_sent_twice_is_there_once(inbox: Inbox) -> None:
    await inbox.send(a_message(1, body=b"first"))
    await inbox.send(a_message(1, body=b"second"))

    assert list(await inbox.unanswered([1])) == [a_message(1, body=b"first")]


async def test_an_answered_message_waits_no_more_and_its_first_answer_counts(inbox: Inbox) -> None:
    await inbox.send(a_message(1))

    await inbox.answer(a_message(1), b"yes")
    await inbox.answer(a_message(1), b"no")

    assert await inbox.unanswered([1]) == []
    assert await inbox.answers([a_message(1).message_id]) == {a_message(1).message_id: b"yes"}


async def test_unanswered_message_has_no_answer(inbox: Inbox) -> None:
    await inbox.send(a_message(1))

    assert await inbox.answers([a_message(1).message_id, a_message(2).message_id]) == {}


async def answered(inbox: Inbox, message: Message) -> None:
    await inbox.send(message)
    await inbox.answer(message, b"yes")


async def test_answered_message_is_pruned_once_its_answer_is_old(aging: Aging) -> None:
    inbox, message = aging.inbox, a_message(1)
    await answered(inbox, message)
    await aging.pass_time(ANSWER_RETENTION - timedelta(minutes=1))

    assert await inbox.prune([1]) == 0
    assert await inbox.answers([message.message_id]) == {message.message_id: b"yes"}

    await aging.pass_time(timedelta(minutes=2))

    assert [await inbox.prune([1]), await inbox.prune([1])] == [1, 0]
    assert await inbox.answers([message.message_id]) == {}


async def test_unanswered_message_is_never_pruned(aging: Aging) -> None:
    await aging.inbox.send(a_message(1))
    await aging.pass_time(10 * ANSWER_RETENTION)

    assert await aging.inbox.prune([1]) == 0
    assert list(await aging.inbox.unanswered([1])) == [a_message(1)]


async def test_messages_to_shards_of_other_nodes_are_not_pruned(aging: Aging) -> None:
    await answered(aging.inbox, a_message(1, shard_id=1))
    await answered(aging.inbox, a_message(2, shard_id=2))
    await aging.pass_time(2 * ANSWER_RETENTION)

    assert await aging.inbox.prune([1, 3]) == 1
    assert await aging.inbox.answers([a_message(2).message_id]) != {}


async def test_pruning_deletes_a_bounded_number_of_messages(
    aging: Aging, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[type(aging.inbox).__module__]
    monkeypatch.setattr(module, "MAX_MESSAGES_PER_PRUNE", 2)
    for number in (1, 2, 3):
        await answered(aging.inbox, a_message(number))
    await aging.pass_time(2 * ANSWER_RETENTION)

    assert [await aging.inbox.prune([1]) for _ in range(3)] == [2, 1, 0]
