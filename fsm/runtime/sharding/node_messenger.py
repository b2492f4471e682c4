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

from ....eventstore.cluster.inbox import Inbox, Message
from ....eventstore.errors import LogUnavailable
from ....eventstore.event import shard_of
from ..clock import Clock
from ..errors import NotShardOwner, OutcomeUnknown, Overloaded, Unavailable
from ..local_sagas import LocalSagas, log_errors_as_unavailable
from ..logging import logger
from .node_protocol import (
    RemoteCommand,
    RemoteResult,
    RemoteStart,
    decode_request,
    decode_result,
    encode_request,
    encode_result,
    is_refusal,
)

# Longer than it takes until a frozen node is taken over.
RESULT_TIMEOUT: Final = timedelta(seconds=30)


class NodeMessenger:
    def __init__(self, inbox: Inbox, local: LocalSagas, clock: Clock, node_id: str) -> None:
        self.inbox, self.local_sagas, self.clock, self.node_id = inbox, local, clock, node_id
        self._pending: dict[str, asyncio.Future[bytes]] = {}
        self._executing: dict[str, asyncio.Task[None]] = {}
        self._notified = asyncio.Event()

    async def request(self, question: RemoteCommand | RemoteStart) -> RemoteResult:
        """Raises the refusal of whoever answers; NotServing, and InDoubt if nobody does."""
        message = Message(
            message_id=self.clock.new_saga_id(0, 1),
            shard_id=shard_of(question.saga_id),
            sender=self.node_id,
            body=encode_request(question),
        )
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[message.message_id] = answered
        try:
            with log_errors_as_unavailable():
                await self.inbox.send(message)
            async with asyncio.timeout(RESULT_TIMEOUT.total_seconds()):
                return decode_result(await answered)
        except TimeoutError:
            raise OutcomeUnknown("the node that drives the saga has not answered yet") from None
        finally:
            del self._pending[message.message_id]

    @property
    def awaits_results(self) -> bool:
        return bool(self._pending)

    def notify(self) -> None:
        """Let `run` look for messages now."""
        self._notified.set()

    async def run(self, driven: Callable[[], Collection[int]]) -> None:
        """Look for messages to the shards of `driven` at each nudge, until cancelled."""
        while True:
            await self._notified.wait()
            self._notified.clear()
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
        if self._pending:
            for message_id, answer in (await self.inbox.answers(self._pending)).items():
                if (answered := self._pending.get(message_id)) and not answered.done():
                    answered.set_result(answer)
        for message in await self.inbox.unanswered(shard_ids) if shard_ids else ():
            if message.message_id not in self._executing:
                task = asyncio.get_running_loop().create_task(self._handle(message))
                self._executing[message.message_id] = task

    async def close(self) -> None:
        tasks = list(self._executing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, message: Message) -> None:
        """The top of every answer. One that cannot be given now is left for the next look."""
        try:
            answer = await self._execute(message)
            await self.inbox.answer(message, encode_result(answer))
        except (NotShardOwner, Overloaded, LogUnavailable, OutcomeUnknown) as error:
            logger.info("message left", extra={"message_id": message.message_id, "why": str(error)})
        finally:
            del self._executing[message.message_id]

    async def _execute(self, message: Message) -> RemoteResult | Exception:
        """Raises NotDrivenHere, LogBusy and InDoubt."""
        try:
            return await self.local_sagas.execute(message.message_id, decode_request(message.body))
        except (NotShardOwner, Overloaded, OutcomeUnknown):
            raise
        except Exception as error:  # noqa: BLE001 - whoever asks is told what can be told
            if is_refusal(error):
                return error
            logger.exception("message failed", extra={"message_id": message.message_id})
            return Unavailable("it failed where the saga is driven, and was logged there")
