"""Questions to other nodes, and theirs to us, through the durable inbox.

    ask ──> inbox ──> the node that drives the shard, whichever that is by then ──> answer ──> ask

A question that is sent is answered even if the node that was to answer it dies: the next owner of
the shard reads it again, and a saga knows what it has taken already. A node that dies waiting for
an answer takes only its own client with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

from ...eventstore import Inbox, LogUnavailable, Message, shard_of
from .clock import Clock
from .errors import InDoubt, LogBusy, NotDrivenHere, NotServing
from .local import Local, serving
from .log import logger
from .message import (
    Ask,
    Begin,
    Done,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
    is_refusal,
)

# Longer than it takes until a frozen node is taken over.
ANSWERED_WITHIN: Final = timedelta(seconds=30)


class Post:
    def __init__(self, inbox: Inbox, local: Local, clock: Clock, node_id: str) -> None:
        self.inbox, self.local, self.clock, self.node_id = inbox, local, clock, node_id
        self._awaited: dict[str, asyncio.Future[bytes]] = {}
        self._answering: dict[str, asyncio.Task[None]] = {}
        self._nudged = asyncio.Event()

    async def ask(self, question: Ask | Begin) -> Done:
        """Raises the refusal of whoever answers; NotServing, and InDoubt if nobody does."""
        message = Message(
            message_id=self.clock.new_saga_id(0, 1),
            shard_id=shard_of(question.saga_id),
            sender=self.node_id,
            body=encode_question(question),
        )
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._awaited[message.message_id] = answered
        try:
            with serving():
                await self.inbox.send(message)
            async with asyncio.timeout(ANSWERED_WITHIN.total_seconds()):
                return decode_answer(await answered)
        except TimeoutError:
            raise InDoubt("the node that drives the saga has not answered yet") from None
        finally:
            del self._awaited[message.message_id]

    @property
    def awaits_answers(self) -> bool:
        return bool(self._awaited)

    def nudge(self) -> None:
        """Let `run` look for messages now."""
        self._nudged.set()

    async def run(self, driven: Callable[[], Collection[int]]) -> None:
        """Look for messages to the shards of `driven` at each nudge, until cancelled."""
        while True:
            await self._nudged.wait()
            self._nudged.clear()
            try:
                await self.step(driven())
            except LogUnavailable as error:
                logger.warning("messages were not read", extra={"why": str(error)})
            except Exception:  # noqa: BLE001 - a node that reads no messages serves no other node
                logger.exception("messages in trouble")

    async def step(self, shard_ids: Collection[int]) -> None:
        """Answer what waits for these shards, and hand out the answers that have come.

        Raises LogUnavailable.
        """
        if self._awaited:
            for message_id, answer in (await self.inbox.answers(self._awaited)).items():
                if (answered := self._awaited.get(message_id)) and not answered.done():
                    answered.set_result(answer)
        for message in await self.inbox.waiting(shard_ids) if shard_ids else ():
            if message.message_id not in self._answering:
                task = asyncio.get_running_loop().create_task(self._answer(message))
                self._answering[message.message_id] = task

    async def close(self) -> None:
        tasks = list(self._answering.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, message: Message) -> None:
        """The top of every answer. One that cannot be given now is left for the next look."""
        try:
            answer = await self._answer_of(message)
            await self.inbox.answer(message, encode_answer(answer))
        except (NotDrivenHere, LogBusy, LogUnavailable, InDoubt) as error:
            logger.info("message left", extra={"message_id": message.message_id, "why": str(error)})
        finally:
            del self._answering[message.message_id]

    async def _answer_of(self, message: Message) -> Done | Exception:
        """Raises NotDrivenHere, LogBusy and InDoubt."""
        try:
            return await self.local.answer(message.message_id, decode_question(message.body))
        except (NotDrivenHere, LogBusy, InDoubt):
            raise
        except Exception as error:  # noqa: BLE001 - whoever asks is told what can be told
            if is_refusal(error):
                return error
            logger.exception("message failed", extra={"message_id": message.message_id})
            return NotServing("it failed where the saga is driven, and was logged there")
