"""Those who order, each as a seed would have it: they ask any node, ask again with the same key
until they are answered, and write down every answer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any

import httpx
from saga_orchestrator.tests.chaos.webhook_receiver import WebhookReceiver
from saga_orchestrator.tests.chaos.workload import (
    SIGNALS,
    OperatorCommand,
    PlannedOrder,
    SagaKind,
    plan_order,
)

REQUEST_TIMEOUT_SECONDS = 8  # a node that says nothing for so long is not waited for
RETRY_DELAYS_SECONDS = (
    0.3,
    0.6,
    1.2,
    2.4,
    4.8,
)  # between asking and asking again; the last one for ever
ORDER_TIMEOUT_SECONDS = 150  # asked again and again
MAX_CONCURRENT_CHECKS = 24  # who asks for an ending; each may wait for seconds
# Of a regret: what it asks for is not possible any more. Of a start: somebody is at it.
TRY_AGAIN = (httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS)

Answer = Mapping[str, Any]


class Clients:
    def __init__(self, seed: int, urls: Sequence[str], receiver: WebhookReceiver) -> None:
        self.seed, self.urls, self.receiver = seed, urls, receiver
        self.answers: list[dict[str, Any]] = []
        self.surprises: list[str] = []
        self.retries = 0
        self._sent_signals: set[tuple[int, int]] = set()
        self._chance = random.Random(seed)
        # Nobody waits for the connections of others, of which frozen nodes may hold any number.
        self._web = httpx.AsyncClient(
            timeout=REQUEST_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._web.aclose()

    async def place_orders(self, load: float, seconds: float) -> Sequence[PlannedOrder]:
        """`load` a second. Returns what they wished, when each has been answered."""
        wishes = [plan_order(self.seed, number) for number in range(int(load * seconds))]
        async with asyncio.TaskGroup() as group:
            for one in wishes:
                group.create_task(self._place_order(one))
                await asyncio.sleep(1 / load)
        return wishes

    async def _place_order(self, wish: PlannedOrder) -> None:
        try:
            async with asyncio.timeout(ORDER_TIMEOUT_SECONDS):
                await self._place_order_in_time(wish)
        except TimeoutError:
            self.surprises.append(f"{wish.key} was not answered")

    async def _place_order_in_time(self, wish: PlannedOrder) -> None:
        starts = [self._start(wish, wish.prefer) for _ in range(1 + wish.is_duplicated)]
        saga_id = (await asyncio.gather(*starts))[0]["saga_id"]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_operator_command(wish, saga_id))
            if wish.kind is SagaKind.APPROVED:
                group.create_task(self._approve(wish, saga_id))
        await self._record_answer(None, await self._request("GET", f"/sagas/{saga_id}/status"))

    async def _send_operator_command(self, wish: PlannedOrder, saga_id: str) -> None:
        await asyncio.sleep(wish.command_delay_seconds)
        if wish.operator_command is not None:
            await self._record_answer(
                None, await self._request("POST", f"/sagas/{saga_id}/{wish.operator_command}")
            )
        if wish.operator_command is OperatorCommand.PAUSE:
            await asyncio.sleep(wish.command_delay_seconds)
            await self._resume(saga_id)

    async def _resume(self, saga_id: str) -> None:
        await self._record_answer(None, await self._request("POST", f"/sagas/{saga_id}/resume"))

    async def _approve(self, wish: PlannedOrder, saga_id: str) -> None:
        """One word after the other; who is hasty repeats the one before with the last one."""
        for word in SIGNALS:
            if (wish.number, word) in self._sent_signals:
                continue  # it counts, so a saga that has not heard it never will
            await self._send_signal(wish, saga_id, word)
            self._sent_signals.add((wish.number, word))
            if wish.is_duplicated:
                said = [self._send_signal(wish, saga_id, each) for each in SIGNALS[:word]]
                await asyncio.gather(*said)

    async def _send_signal(self, wish: PlannedOrder, saga_id: str, word: int) -> None:
        """Until it is heard, or the saga rests."""
        headers = {"Idempotency-Key": f"{wish.key}-word-{word}"}
        path = f"/sagas/{saga_id}/signals/word"
        async for answer in self._request_repeatedly("POST", path, json=word, headers=headers):
            if answer is not None and answer.status_code == httpx.codes.CONFLICT:
                return
            if await self._record_answer(None, answer) is not None:
                return

    async def final_statuses(self, wishes: Sequence[PlannedOrder], within: float) -> Counter[str]:
        """By status; "under way" are those that do not rest by then."""
        turn = asyncio.Semaphore(MAX_CONCURRENT_CHECKS)
        deadline = asyncio.get_running_loop().time() + within

        async def ending(wish: PlannedOrder) -> str:
            with suppress(TimeoutError):
                async with turn, asyncio.timeout_at(deadline):
                    return await self._await_rest(wish)
            return "under way"

        return Counter(await asyncio.gather(*map(ending, wishes)))

    async def await_webhooks(self, wishes: Sequence[PlannedOrder], within: float) -> None:
        """Who wanted to be told of a rest is told of it."""
        wanted = {one.key for one in wishes if one.has_webhook}
        owed = {one["saga_id"] for one in self.answers if one["request"] in wanted}
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not owed <= self.receiver.delivered.keys():
                    self.receiver.received.clear()
                    await self.receiver.received.wait()
        untold = sorted(owed - self.receiver.delivered.keys())
        self.surprises += [f"{saga_id}: its callback never came" for saga_id in untold]

    async def _await_rest(self, wish: PlannedOrder) -> str:
        """A pause may have arrived after all, and behind its end; and who was not answered in time
        has not said all."""
        while (told := await self._start(wish, "wait=5"))["http"] != httpx.codes.OK:
            if wish.operator_command is OperatorCommand.PAUSE:
                await self._resume(told["saga_id"])
            if wish.kind is SagaKind.APPROVED:
                await self._approve(wish, told["saga_id"])
        status = str(told["status"])
        if status == "completed":
            await self._check_completed(wish, told["saga_id"])
        return status

    async def _check_completed(self, wish: PlannedOrder, saga_id: str) -> None:
        """What has come about is what was wished for."""
        if not (wish.pays and (wish.kind is not SagaKind.PARCEL or wish.parcel["arrives"])):
            self.surprises.append(f"{saga_id} was completed, and should not have been")
        if wish.kind is SagaKind.APPROVED:
            async for answer in self._request_repeatedly("GET", f"/sagas/{saga_id}/status"):
                if answer is not None and answer.is_success:
                    heard = tuple(_words(answer.json()))
                    break
            if heard != SIGNALS:
                self.surprises.append(f"{saga_id} has heard {heard}, and was told {SIGNALS}")

    async def _start(self, wish: PlannedOrder, prefer: str) -> Answer:
        """Asked of one node after the other until one of them knows."""
        headers = {"Idempotency-Key": wish.key, "Prefer": prefer}
        callback = {"callback_url": f"{self.receiver.url}/{wish.key}"} if wish.has_webhook else {}
        body = {**wish.body, **callback}
        asking = self._request_repeatedly("POST", "/sagas/start", json=body, headers=headers)
        async for answer in asking:
            if (told := await self._record_answer(wish.key, answer)) is not None:
                return told
        raise AssertionError("it is asked for ever")

    async def _request_repeatedly(
        self, method: str, path: str, **request: Any
    ) -> AsyncIterator[httpx.Response | None]:
        """Again and again, until nobody wants the next answer."""
        for pause in chain(RETRY_DELAYS_SECONDS, repeat(RETRY_DELAYS_SECONDS[-1])):
            yield await self._request(method, path, **request)
            self.retries += 1
            await asyncio.sleep(pause)

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            url = self._chance.choice(self.urls) + path
            return await self._web.request(method, url, **request)
        return None

    async def _record_answer(
        self, request: str | None, answer: httpx.Response | None
    ) -> Answer | None:
        """What was told, if it was; a refusal that does not go away is a surprise."""
        if answer is None or answer.is_server_error or answer.status_code in TRY_AGAIN:
            return None
        if not answer.is_success:
            self.surprises.append(f"{answer.request.url.path}: {answer.text}")
            return None
        told = answer.json()
        line = {name: told[name] for name in ("saga_id", "status", "version") if name in told}
        at = datetime.now(UTC).isoformat()
        self.answers.append({"at": at, "request": request, **line})
        return {"http": answer.status_code, **line}


def _words(status: Answer) -> list[Any]:
    return [one["output"] for one in status["steps"] if one["name"].endswith("_word")]
