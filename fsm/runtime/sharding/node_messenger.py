"""Requests to other nodes, and theirs to this one, through the durable inbox.

    request ──> inbox ──> the node that drives the shard then ──> result ──> the requesting node

A request is executed even if the node that was to execute it dies: the next owner of the shard
reads it again, and a saga knows which messages it has applied. If the requesting node dies, only
its own client goes without a result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

from ....eventstore import LogUnavailable, shard_of
from ....eventstore.cluster import Inbox, Message
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
    """Sends requests to other nodes, and executes those for the shards of this node."""

    def __init__(self, inbox: Inbox, local_sagas: LocalSagas, clock: Clock, node_id: str) -> None:
        self.inbox, self.local_sagas, self.clock, self.node_id = inbox, local_sagas, clock, node_id
        self._pending: dict[str, asyncio.Future[bytes]] = {}
        self._executing: dict[str, asyncio.Task[None]] = {}
        self._notified = asyncio.Event()

    async def request(self, request: RemoteCommand | RemoteStart) -> RemoteResult:
        """Let the node that drives the saga execute a request; return its result.

        Raises the refusal of that node; Unavailable; OutcomeUnknown if no result arrives.
        """
        message = Message(
            message_id=self.clock.new_saga_id(0, 1),
            shard_id=shard_of(request.saga_id),
            sender=self.node_id,
            body=encode_request(request),
        )
        result: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[message.message_id] = result
        try:
            with log_errors_as_unavailable():
                await self.inbox.send(message)
            async with asyncio.timeout(RESULT_TIMEOUT.total_seconds()):
                return decode_result(await result)
        except TimeoutError:
            raise OutcomeUnknown("the node that drives the saga has not answered yet") from None
        finally:
            del self._pending[message.message_id]

    @property
    def awaits_results(self) -> bool:
        return bool(self._pending)

    def notify(self) -> None:
        """Let `run` read the inbox now."""
        self._notified.set()

    async def run(self, driven: Callable[[], Collection[int]]) -> None:
        """Read messages for the `driven` shards at each notification, until cancelled."""
        while True:
            await self._notified.wait()
            self._notified.clear()
            try:
                await self.step(driven())
            except LogUnavailable as error:
                logger.warning("messages could not be read", extra={"error": str(error)})
            except Exception:  # noqa: BLE001 - the next notification tries again
                logger.exception("reading messages failed")

    async def step(self, shard_ids: Collection[int]) -> None:
        """Execute the requests for these shards, and hand out results that have arrived.

        Raises LogUnavailable.
        """
        if self._pending:
            for message_id, body in (await self.inbox.answers(self._pending)).items():
                if (result := self._pending.get(message_id)) and not result.done():
                    result.set_result(body)
        for message in await self.inbox.unanswered(shard_ids) if shard_ids else ():
            if message.message_id not in self._executing:
                task = asyncio.get_running_loop().create_task(self._handle(message))
                self._executing[message.message_id] = task

    async def close(self) -> None:
        """Cancel all executions: the next owner of the shard repeats them."""
        tasks = list(self._executing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, message: Message) -> None:
        """Execute a request and send its result; leave the message if that is impossible now."""
        try:
            result = await self._execute(message)
            await self.inbox.answer(message, encode_result(result))
        except (NotShardOwner, Overloaded, LogUnavailable, OutcomeUnknown) as error:
            facts = {"message_id": message.message_id, "error": str(error)}
            logger.info("message postponed", extra=facts)
        finally:
            del self._executing[message.message_id]

    async def _execute(self, message: Message) -> RemoteResult | Exception:
        """Return the result or the refusal. Raises NotShardOwner, Overloaded, OutcomeUnknown."""
        try:
            return await self.local_sagas.execute(message.message_id, decode_request(message.body))
        except (NotShardOwner, Overloaded, OutcomeUnknown):
            raise
        except Exception as error:  # noqa: BLE001 - the requesting node gets a refusal
            if is_refusal(error):
                return error
            logger.exception("message failed", extra={"message_id": message.message_id})
            return Unavailable("it failed at the node that drives the saga, and was logged there")
