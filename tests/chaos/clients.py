"""The clients, driven by the seed: they send each request to any node, repeat it with the same key
until they get a response, and record every response."""

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

RUNNING = "running"  # the final status of a saga that does not rest in time
REQUEST_TIMEOUT_SECONDS = 8
RETRY_DELAYS_SECONDS = (0.3, 0.6, 1.2, 2.4, 4.8)  # the last one repeats
ORDER_TIMEOUT_SECONDS = 150  # with all repetitions
MAX_CONCURRENT_CHECKS = 24  # each may wait for seconds
# Refusals to be tried again: a command is not possible any more, or a start is in progress.
TRY_AGAIN = (httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS)
RECORDED_MEMBERS = ("saga_id", "status", "version")

Answer = Mapping[str, Any]


class Clients:
    """`answers` are the recorded responses, `surprises` the responses that must not happen."""

    def __init__(self, seed: int, urls: Sequence[str], receiver: WebhookReceiver) -> None:
        self.seed, self.urls, self.receiver = seed, urls, receiver
        self.answers: list[dict[str, Any]] = []
        self.surprises: list[str] = []
        self.retries = 0
        self._sent_signals: set[tuple[int, int]] = set()
        self._random = random.Random(seed)
        # Frozen nodes may hold any number of connections, so there must be no limit to wait for.
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(
            timeout=REQUEST_TIMEOUT_SECONDS, limits=limits, trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def place_orders(self, load: float, seconds: float) -> Sequence[PlannedOrder]:
        """Place `load` orders a second; return them when each has been answered."""
        orders = [plan_order(self.seed, number) for number in range(int(load * seconds))]
        async with asyncio.TaskGroup() as group:
            for order in orders:
                group.create_task(self._place_order(order))
                await asyncio.sleep(1 / load)
        return orders

    async def final_statuses(self, orders: Sequence[PlannedOrder], within: float) -> Counter[str]:
        """Return the number of sagas by status; RUNNING for those that do not rest in time."""
        limit = asyncio.Semaphore(MAX_CONCURRENT_CHECKS)
        deadline = asyncio.get_running_loop().time() + within

        async def final_status(order: PlannedOrder) -> str:
            with suppress(TimeoutError):
                async with limit, asyncio.timeout_at(deadline):
                    return await self._await_rest(order)
            return RUNNING

        return Counter(await asyncio.gather(*map(final_status, orders)))

    async def await_webhooks(self, orders: Sequence[PlannedOrder], within: float) -> None:
        """Wait for the webhook of each order that has one; a missing one is a surprise."""
        keys = {order.key for order in orders if order.has_webhook}
        expected = {answer["saga_id"] for answer in self.answers if answer["request"] in keys}
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not expected <= self.receiver.delivered.keys():
                    self.receiver.received.clear()
                    await self.receiver.received.wait()
        missing = sorted(expected - self.receiver.delivered.keys())
        self.surprises += [f"{saga_id}: its webhook was not delivered" for saga_id in missing]

    # One order

    async def _place_order(self, order: PlannedOrder) -> None:
        try:
            async with asyncio.timeout(ORDER_TIMEOUT_SECONDS):
                await self._place_order_in_time(order)
        except TimeoutError:
            self.surprises.append(f"{order.key} was not answered")

    async def _place_order_in_time(self, order: PlannedOrder) -> None:
        starts = [self._start(order, order.prefer) for _ in range(1 + order.is_duplicated)]
        saga_id = (await asyncio.gather(*starts))[0]["saga_id"]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_operator_command(order, saga_id))
            if order.kind is SagaKind.APPROVED:
                group.create_task(self._approve(order, saga_id))
        await self._record_answer(None, await self._request("GET", f"/sagas/{saga_id}/status"))

    async def _send_operator_command(self, order: PlannedOrder, saga_id: str) -> None:
        await asyncio.sleep(order.command_delay_seconds)
        if order.operator_command is not None:
            await self._command(saga_id, order.operator_command)
        if order.operator_command is OperatorCommand.PAUSE:
            await asyncio.sleep(order.command_delay_seconds)
            await self._command(saga_id, "resume")

    async def _command(self, saga_id: str, command: str) -> None:
        response = await self._request("POST", f"/sagas/{saga_id}/{command}")
        await self._record_answer(None, response)

    async def _approve(self, order: PlannedOrder, saga_id: str) -> None:
        """Send one signal after the other; a duplicated order sends earlier ones again."""
        for signal in SIGNALS:
            if (order.number, signal) in self._sent_signals:
                continue  # acknowledged, so it must not be lost
            await self._send_signal(order, saga_id, signal)
            self._sent_signals.add((order.number, signal))
            if order.is_duplicated:
                repeated = [self._send_signal(order, saga_id, each) for each in SIGNALS[:signal]]
                await asyncio.gather(*repeated)

    async def _send_signal(self, order: PlannedOrder, saga_id: str, signal: int) -> None:
        """Send a signal until it is acknowledged, or the saga rests."""
        headers = {"Idempotency-Key": f"{order.key}-word-{signal}"}
        path = f"/sagas/{saga_id}/signals/word"
        async for response in self._request_repeatedly("POST", path, json=signal, headers=headers):
            if response is not None and response.status_code == httpx.codes.CONFLICT:
                return
            if await self._record_answer(None, response) is not None:
                return

    async def _await_rest(self, order: PlannedOrder) -> str:
        """Return the final status.

        A pause may have been carried out after its resume, and signals may have been given up.
        """
        while (answer := await self._start(order, "wait=5"))["http"] != httpx.codes.OK:
            if order.operator_command is OperatorCommand.PAUSE:
                await self._command(answer["saga_id"], "resume")
            if order.kind is SagaKind.APPROVED:
                await self._approve(order, answer["saga_id"])
        status = str(answer["status"])
        if status == "completed":
            await self._check_completed(order, answer["saga_id"])
        return status

    async def _check_completed(self, order: PlannedOrder, saga_id: str) -> None:
        """A saga may complete only if its order can, and with every signal in order."""
        if not (order.pays and (order.kind is not SagaKind.PARCEL or order.parcel["arrives"])):
            self.surprises.append(f"{saga_id} was completed, and should not have been")
        if order.kind is SagaKind.APPROVED:
            async for response in self._request_repeatedly("GET", f"/sagas/{saga_id}/status"):
                if response is not None and response.is_success:
                    received = tuple(_signals_in(response.json()))
                    break
            if received != SIGNALS:
                self.surprises.append(f"{saga_id} has the signals {received}, not {SIGNALS}")

    # Requests

    async def _start(self, order: PlannedOrder, prefer: str) -> Answer:
        """Start a saga at one node after the other until there is a response."""
        headers = {"Idempotency-Key": order.key, "Prefer": prefer}
        webhook = {"callback_url": f"{self.receiver.url}/{order.key}"} if order.has_webhook else {}
        body = {**order.body, **webhook}
        responses = self._request_repeatedly("POST", "/sagas/start", json=body, headers=headers)
        async for response in responses:
            if (answer := await self._record_answer(order.key, response)) is not None:
                return answer
        raise AssertionError("requests are repeated without end")

    async def _request_repeatedly(
        self, method: str, path: str, **request: Any
    ) -> AsyncIterator[httpx.Response | None]:
        """Yield the responses to the same request, sent again until the caller stops."""
        for delay in chain(RETRY_DELAYS_SECONDS, repeat(RETRY_DELAYS_SECONDS[-1])):
            yield await self._request(method, path, **request)
            self.retries += 1
            await asyncio.sleep(delay)

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            url = self._random.choice(self.urls) + path
            return await self._http.request(method, url, **request)
        return None

    async def _record_answer(
        self, request: str | None, response: httpx.Response | None
    ) -> Answer | None:
        """Record and return a successful response; any lasting refusal is a surprise."""
        if response is None or response.is_server_error or response.status_code in TRY_AGAIN:
            return None
        if not response.is_success:
            self.surprises.append(f"{response.request.url.path}: {response.text}")
            return None
        view = response.json()
        line = {name: view[name] for name in RECORDED_MEMBERS if name in view}
        at = datetime.now(UTC).isoformat()
        self.answers.append({"at": at, "request": request, **line})
        return {"http": response.status_code, **line}


def _signals_in(status: Answer) -> list[Any]:
    return [step["output"] for step in status["steps"] if step["name"].endswith("_word")]
