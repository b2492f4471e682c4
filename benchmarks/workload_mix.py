"""All sorts of customers: what the n-th saga is, how it is begun and gone on with, and what else is
asked meanwhile. Every answer is judged; the first wrong one ends the benchmark."""

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

AT_ONCE = 64  # customers who wait for an answer
LONGEST = timedelta(seconds=60)
KEYED, CURIOUS = 3, 8  # every so many sagas have an idempotency key, or somebody who looks at them
WAITING, AT_ONCE_ANSWERED = "wait=30", "respond-async"

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
    "participant": "clerk-service",
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


class Crowd:
    """`came` counts the sagas there must be by now, by how they end; a child is one of them."""

    def __init__(self, client: ParticipantsClient, told_url: str) -> None:
        self.client, self.told_url = client, told_url
        self.came: Counter[str] = Counter()
        self.told = 0  # sagas that somebody is to be told of

    async def register(self) -> None:
        for name, steps in DEFINITIONS.items():
            document = {"saga": name, "version": 1, "steps": steps}
            await self._ask("PUT", f"/definitions/{name}/1", document, expected=201)

    async def come(self, numbers: range) -> None:
        """Raises WrongAnswer. Some are not waited for, and rest later."""
        left = iter(numbers)

        async def customer() -> None:
            for number in left:
                await self._live(number)

        async with asyncio.TaskGroup() as customers:
            for _ in range(AT_ONCE):
                customers.create_task(customer())

    async def call_back(self, saga_id: str, token: str) -> None:
        headers = {"saga-callback-token": token}
        await self._ask("POST", f"/sagas/{saga_id}/steps/clear/complete", {}, headers)

    async def _live(self, number: int) -> None:
        saga_id = await LIVES[number % len(LIVES)](self, number)
        if number % CURIOUS == 0:
            for path in ("/status", "", "/events"):
                await self._ask("GET", f"/sagas/{saga_id}{path}")
            await self._ask("GET", "/sagas?status=completed&limit=20")
            await self._ask("GET", f"/sagas?type=declined&tag.batch={number % 7}&limit=20")
            await self._ask("GET", "/metrics")

    async def _completed(self, number: int) -> str:
        return await self._start(number, ORDER)

    async def _declined(self, number: int) -> str:
        return await self._start(number, {"saga_type": "declined"}, end="compensated")

    async def _told(self, number: int) -> str:
        self.told += 1
        return await self._start(number, {**ORDER, "callback_url": self.told_url})

    async def _napping(self, number: int) -> str:
        return await self._start(number, {"saga_type": "napping"}, AT_ONCE_ANSWERED)

    async def _cleared(self, number: int) -> str:
        return await self._start(number, {"saga_type": "cleared"})

    async def _family(self, number: int) -> str:
        self.came["completed"] += 1
        return await self._start(number, {"saga_type": "family"})

    async def _listening(self, number: int) -> str:
        saga_id = await self._start(number, {"saga_type": "listening"}, AT_ONCE_ANSWERED)
        headers = {"prefer": WAITING}
        path = f"/sagas/{saga_id}/signals/approved"
        told = await self._ask("POST", path, {"by": "anna"}, headers)
        _demand(told["status"] == "completed", told)
        return saga_id

    async def _start(
        self, number: int, what: Mapping[str, Any], prefer: str = WAITING, end: str = "completed"
    ) -> str:
        self.came[end] += 1
        headers = {"prefer": prefer}
        if number % KEYED == 0:
            headers["idempotency-key"] = f"saga-{number}"
        body = {**what, "entity_id": number, "tags": {"batch": str(number % 7)}}
        waits = prefer == WAITING
        told = await self._ask(
            "POST", "/sagas/start", body, headers, expected=200 if waits else 202
        )
        _demand(not waits or told["status"] == end, told)
        return str(told["saga_id"])

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        expected: int = 200,
    ) -> Any:
        given = {"content-type": "application/json", **(headers or {})}
        content = None if body is None else json.dumps(body).encode()
        answer = await self.client.request("service", method, path, given, content, LONGEST)
        if not isinstance(answer, Response) or answer.status != expected:
            raise WrongAnswer(f"{method} {path}: {answer}")
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return json.loads(answer.body) if is_json else answer.body


def _demand(right: bool, told: object) -> None:
    if not right:
        raise WrongAnswer(str(told))


Live = Callable[[Crowd, int], Awaitable[str]]
MIX: tuple[tuple[int, Live], ...] = (
    (10, Crowd._completed),
    (4, Crowd._declined),
    (2, Crowd._napping),
    (1, Crowd._listening),
    (1, Crowd._cleared),
    (1, Crowd._family),
    (1, Crowd._told),
)
LIVES: tuple[Live, ...] = tuple(live for times, live in MIX for _ in range(times))
