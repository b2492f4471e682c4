"""What is asked of a shard through a node that does not drive it.

A message is kept until its owner, whoever that is by then, has answered it. It may be read more
than once, by one owner after the other: whoever acts on it must recognise what has been done. Two
implementations exist, PostgreSQL and memory, and one contract suite holds for both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MAX_MESSAGES_PER_READ: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`sender` is the node that waits for the answer."""

    message_id: str
    shard_id: int
    sender: str
    body: bytes


class Inbox(Protocol):
    """Every method is safe to repeat, and raises LogUnavailable when the database does not
    answer."""

    async def send(self, message: Message) -> None:
        """Durable when it returns. The owner of the shard is nudged."""

    async def unanswered(self, shard_ids: Collection[int]) -> Sequence[Message]:
        """The oldest unanswered messages for these shards."""

    async def answer(self, message: Message, answer: bytes) -> None:
        """The first answer counts. The sender is nudged."""

    async def answers(self, message_ids: Collection[str]) -> Mapping[str, bytes]:
        """Those that are there, by message."""

    async def prune(self) -> None:
        """Drop what has long been answered."""
