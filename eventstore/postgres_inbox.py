"""The inbox in PostgreSQL. Nudges are statements of their own: a commit that notifies takes a lock
that all of them share, and a message need not wait for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from .columns import int4s, uuids
from .inbox import MESSAGES_A_READ, Message
from .readers import Readers

KEPT_FOR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Answered:
    message_id: str
    answer: bytes


class PostgresInbox:
    """Implements Inbox."""

    def __init__(self, readers: Readers, *, nudges: bool = True) -> None:
        self._readers, self._nudges = readers, nudges

    async def send(self, message: Message) -> None:
        row = {
            "message_id": message.message_id,
            "shard_id": message.shard_id,
            "sender": message.sender,
            "body": message.body,
        }
        await self._readers.execute("send_message", row)
        await self._nudge("nudge_owner", {"shard_id": message.shard_id})

    async def waiting(self, shard_ids: Collection[int]) -> Sequence[Message]:
        wanted = {"shard_ids": int4s(sorted(shard_ids)), "limit": MESSAGES_A_READ}
        return await self._readers.fetch(Message, "read_messages", wanted)

    async def answer(self, message: Message, answer: bytes) -> None:
        row = {"message_id": message.message_id, "answer": answer}
        await self._readers.execute("answer_message", row)
        await self._nudge("nudge_node", {"node_id": message.sender})

    async def answers(self, message_ids: Collection[str]) -> Mapping[str, bytes]:
        wanted = {"message_ids": uuids(sorted(message_ids))}
        rows = await self._readers.fetch(_Answered, "read_answers", wanted)
        return {one.message_id: one.answer for one in rows}

    async def forget(self) -> None:
        await self._readers.execute("forget_messages", {"after": KEPT_FOR})

    async def _nudge(self, name: str, whom: Mapping[str, object]) -> None:
        if self._nudges:
            await self._readers.execute(name, whom)
