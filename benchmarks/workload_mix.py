"""A workload of all sorts of sagas, and of reads in between. The first wrong response ends the
benchmark."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from saga_orchestrator.benchmarks.load import ORDER, WrongAnswer
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.http.participants.client import ParticipantsClient

CONCURRENT_CLIENTS = 64
REQUEST_TIMEOUT = timedelta(seconds=60)
KEYED_EVERY, READ_EVERY = 3, 8  # of so many sagas has an idempotency key, or is read
PREFER_WAIT, PREFER_ASYNC = "wait=30", "respond-async"

CREATE = {
    "name": "create_order",
    "participant": "order-service",
    "action": {"path": "/orders", "body": "${input}"},
    "compensation": {"path": "/orders/${steps.create_order.output.order_id}/compensate"},
}
PAY = {
    "name": "pay",
    "participant": "declining-service",
    "action": {"path": "/payments", "body": "${input}"},
    "effect": "none",
}
NAP = {"name": "nap", "sleep": "1s"}
LISTEN = {"name": "approval", "wait_for": {"signal": "approved", "timeout": "30d"}}
CLEAR = {
    "name": "clear",
    "participant": "callback-service",
    "completion": "callback",
    "action": {"path": "/clear"},
    "effect": "none",
}
PART = {"name": "part", "saga": {"type": "single", "version": 1, "input": "${input}"}}
DEFINITIONS: Mapping[str, list[dict[str, Any]]] = {
    "single": [CREATE],
    "declined": [CREATE, PAY],
    "napping": [CREATE, NAP],
    "listening": [CREATE, LISTEN],
    "cleared": [CREATE, CLEAR],
    "family": [CREATE, PART],
}


class Workload:
    """`expected` counts the started sagas by their final status; a child is a saga too."""

    def __init__(self, client: ParticipantsClient, webhook_url: str) -> None:
        self.client, self.webhook_url = client, webhook_url
        self.expected: Counter[str] = Counter()
        self.webhooks = 0  # sagas with a callback URL

    async def register(self) -> None:
        for name, steps in DEFINITIONS.items():
            document = {"saga": name, "version": 1, "steps": steps}
            await self._request("PUT", f"/definitions/{name}/1", document, expected=201)

    async def run(self, numbers: range) -> None:
        """Start these sagas; some still run on return. Raises WrongAnswer."""
        left = iter(numbers)

        async def client_loop() -> None:
            for number in left:
                await self._run_saga(number)

        async with asyncio.TaskGroup() as clients:
            for _ in range(CONCURRENT_CLIENTS):
                clients.create_task(client_loop())

    async def call_back(self, saga_id: str, token: str) -> None:
        headers = {"saga-callback-token": token}
        await self._request("POST", f"/sagas/{saga_id}/steps/clear/complete", {}, headers)

    async def _run_saga(self, number: int) -> None:
        saga_id = await RUNS[number % len(RUNS)](self, number)
        if number % READ_EVERY == 0:
            for path in ("/status", "", "/events"):
                await self._request("GET", f"/sagas/{saga_id}{path}")
            await self._request("GET", "/sagas?status=completed&limit=20")
            await self._request("GET", f"/sagas?type=declined&tag.batch={number % 7}&limit=20")
            await self._request("GET", "/metrics")

    async def _completed(self, number: int) -> str:
        return await self._start(number, ORDER)

    async def _declined(self, number: int) -> str:
        return await self._start(number, {"saga_type": "declined"}, end="compensated")

    async def _with_webhook(self, number: int) -> str:
        self.webhooks += 1
        return await self._start(number, {**ORDER, "callback_url": self.webhook_url})

    async def _napping(self, number: int) -> str:
        return await self._start(number, {"saga_type": "napping"}, PREFER_ASYNC)

    async def _cleared(self, number: int) -> str:
        return await self._start(number, {"saga_type": "cleared"})

    async def _family(self, number: int) -> str:
        self.expected["completed"] += 1
        return await self._start(number, {"saga_type": "family"})

    async def _listening(self, number: int) -> str:
        saga_id = await self._start(number, {"saga_type": "listening"}, PREFER_ASYNC)
        headers = {"prefer": PREFER_WAIT}
        path = f"/sagas/{saga_id}/signals/approved"
        view = await self._request("POST", path, {"by": "anna"}, headers)
        _require(view["status"] == "completed", view)
        return saga_id

    async def _start(
        self,
        number: int,
        what: Mapping[str, Any],
        prefer: str = PREFER_WAIT,
        end: str = "completed",
    ) -> str:
        self.expected[end] += 1
        headers = {"prefer": prefer}
        if number % KEYED_EVERY == 0:
            headers["idempotency-key"] = f"saga-{number}"
        body = {**what, "entity_id": number, "tags": {"batch": str(number % 7)}}
        waits = prefer == PREFER_WAIT
        view = await self._request(
            "POST", "/sagas/start", body, headers, expected=200 if waits else 202
        )
        _require(not waits or view["status"] == end, view)
        return str(view["saga_id"])

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        expected: int = 200,
    ) -> Any:
        given = {"content-type": "application/json", **(headers or {})}
        content = None if body is None else json.dumps(body).encode()
        response = await self.client.request(
            "service", method, path, given, content, REQUEST_TIMEOUT
        )
        if not isinstance(response, Response) or response.status != expected:
            raise WrongAnswer(f"{method} {path}: {response}")
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return json.loads(response.body) if is_json else response.body


def _require(holds: bool, view: object) -> None:
    if not holds:
        raise WrongAnswer(str(view))


Run = Callable[[Workload, int], Awaitable[str]]
MIX: tuple[tuple[int, Run], ...] = (
    (10, Workload._completed),
    (4, Workload._declined),
    (2, Workload._napping),
    (1, Workload._listening),
    (1, Workload._cleared),
    (1, Workload._family),
    (1, Workload._with_webhook),
)
RUNS: tuple[Run, ...] = tuple(run for times, run in MIX for _ in range(times))
