"""The inbox of each shard: requests that arrive at a node that does not drive the shard.

A message is kept until the owner of the shard has answered it. It may be read more than once, by
one owner after another, so each must recognise what has been done already. Two implementations
exist, PostgreSQL and memory, and one contract suite holds for both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from ..errors import LogUnavailable

MAX_MESSAGES_PER_READ: Final = 100
# A sender waits half a minute for an answer; in a minute a busy node answers some ten thousand.
ANSWER_RETENTION: Final = timedelta(minutes=10)
PRUNE_INTERVAL: Final = timedelta(minutes=1)
MAX_MESSAGES_PER_PRUNE: Final = 1_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request to the owner of a shard. `sender` is the node that waits for the answer."""

    message_id: str
    shard_id: int
    sender: str
    body: bytes


class Inbox(Protocol):
    """The messages to all shards.

    Every method is safe to repeat, and raises LogUnavailable if the database does not answer.
    """

    async def send(self, message: Message) -> None:
        """Store a message and notify the owner of the shard. It is durable when this returns."""

    async def unanswered(self, shard_ids: Collection[int]) -> Sequence[Message]:
        """Return the oldest unanswered messages to these shards."""

    async def answer(self, message: Message, answer: bytes) -> None:
        """Store the answer, unless there is one already, and notify the sender."""

    async def answers(self, message_ids: Collection[str]) -> Mapping[str, bytes]:
        """Return the answers that exist, by message."""

    async def prune(self, shard_ids: Collection[int]) -> int:
        """Delete at most MAX_MESSAGES_PER_PRUNE messages to these shards that were answered long
        ago. Return how many were deleted.

        A message without an answer stays, however old it is: its shard has yet to act on it. That
        a message has been acted on is recorded in the stream concerned, so pruning never makes a
        message count twice.
        """


async def prune_regularly(inbox: Inbox, driven_shards: Callable[[], Collection[int]]) -> None:
    """Prune the messages to the shards that this node drives, until cancelled."""
    while True:
        await asyncio.sleep(PRUNE_INTERVAL.total_seconds())
        try:
            while await inbox.prune(driven_shards()) == MAX_MESSAGES_PER_PRUNE:
                continue
        except LogUnavailable as error:
            logger.warning("messages were not pruned", extra={"error": str(error)})
        except Exception:
            logger.exception("pruning of messages failed")
