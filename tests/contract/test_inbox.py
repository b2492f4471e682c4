"""What every inbox promises, PostgreSQL, another database or memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final

import pytest
from saga_orchestrator.eventstore.cluster.inbox import Inbox, Message
from saga_orchestrator.eventstore.cluster.memory import InMemoryInbox, MemoryCluster
from saga_orchestrator.eventstore.cluster.postgres import PostgresInbox
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode

DATABASES: Final[Mapping[str, tuple[DatabaseMode, str]]] = {
    "postgres": ("postgresql", "database_url"),
    "portable": ("portable", "portable_database_url"),
}
SENDER = "00000001-0000-4000-8000-000000000001"


@pytest.fixture(params=["memory", "postgres", "portable"])
async def inbox(request: pytest.FixtureRequest) -> AsyncIterator[Inbox]:
    if request.param == "memory":
        yield InMemoryInbox(MemoryCluster())
        return
    mode, database = DATABASES[request.param]
    readers = ReaderPool(request.getfixturevalue(database), timedelta(seconds=10), mode=mode)
    yield PostgresInbox(readers, nudges=mode == "postgresql")
    await readers.close()


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


async def test_what_is_not_answered_has_no_answer(inbox: Inbox) -> None:
    await inbox.send(a_message(1))

    assert await inbox.answers([a_message(1).message_id, a_message(2).message_id]) == {}


async def test_an_answer_is_not_forgotten_at_once(inbox: Inbox) -> None:
    await inbox.send(a_message(1))
    await inbox.answer(a_message(1), b"yes")

    await inbox.prune()

    assert await inbox.answers([a_message(1).message_id]) == {a_message(1).message_id: b"yes"}
