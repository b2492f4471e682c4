"""Those who order, each as a seed would have it: they ask any node, ask again with the same key
until they are answered, and write down every answer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any

import httpx
from saga_orchestrator.examples.scenes import order

PATIENCE_SECONDS = 8  # a node that says nothing for so long is not waited for
AGAIN_SECONDS = (0.3, 0.6, 1.2, 2.4, 4.8)  # between asking and asking again; the last one for ever
ANSWERED_WITHIN_SECONDS = 150  # asked again and again
AT_A_TIME = 24  # who asks for an ending; each may wait for seconds
# Of a regret: what it asks for is not possible any more. Of a start: somebody is at it.
LATER = (httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS)

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """`regret` is what the customer asks of the saga `after` seconds."""

    number: int
    prefer: str
    pays: bool
    regret: str | None
    after: float

    @property
    def key(self) -> str:
        return f"order-{self.number}"

    @property
    def body(self) -> Mapping[str, Any]:
        body: dict[str, Any] = dict(order(self.number))
        if not self.pays:  # no way to pay: the payment is refused
            body["step_data"][1]["payment_method"] = ""
        return body


def wish(seed: int, number: int) -> Wish:
    chance = random.Random(f"{seed}/{number}")
    return Wish(
        number=number,
        prefer=chance.choice(["respond-async", "wait=5"]),
        pays=chance.random() < 0.8,
        regret=chance.choice(["cancel", "compensate", None, None, None]),
        after=chance.uniform(0, 3),
    )


class Customers:
    def __init__(self, seed: int, urls: Sequence[str]) -> None:
        self.seed, self.urls = seed, urls
        self.answers: list[dict[str, Any]] = []
        self.surprises: list[str] = []
        self.asked_again = 0
        self._chance = random.Random(seed)
        self._web = httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False)

    async def close(self) -> None:
        await self._web.aclose()

    async def come(self, load: float, seconds: float) -> Sequence[Wish]:
        """`load` a second. Returns what they wished, when each has been answered."""
        wishes = [wish(self.seed, number) for number in range(int(load * seconds))]
        async with asyncio.TaskGroup() as group:
            for one in wishes:
                group.create_task(self._order(one))
                await asyncio.sleep(1 / load)
        return wishes

    async def _order(self, wish: Wish) -> None:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_SECONDS):
                await self._ordered(wish)
        except TimeoutError:
            self.surprises.append(f"{wish.key} was not answered")

    async def _ordered(self, wish: Wish) -> None:
        saga_id = (await self._started(wish, wish.prefer))["saga_id"]
        await asyncio.sleep(wish.after)
        if wish.regret is not None:
            await self._note(None, await self._ask("POST", f"/sagas/{saga_id}/{wish.regret}"))
        await self._note(None, await self._ask("GET", f"/sagas/{saga_id}/status"))

    async def endings(self, wishes: Sequence[Wish], within: float) -> Counter[str]:
        """By status; "under way" are those that do not rest by then."""
        turn = asyncio.Semaphore(AT_A_TIME)
        deadline = asyncio.get_running_loop().time() + within

        async def ending(wish: Wish) -> str:
            with suppress(TimeoutError):
                async with turn, asyncio.timeout_at(deadline):
                    return await self._ended(wish)
            return "under way"

        return Counter(await asyncio.gather(*map(ending, wishes)))

    async def _ended(self, wish: Wish) -> str:
        while (told := await self._started(wish, "wait=5"))["http"] != httpx.codes.OK:
            pass
        return str(told["status"])

    async def _started(self, wish: Wish, prefer: str) -> Told:
        """Asked of one node after the other until one of them knows."""
        headers = {"Idempotency-Key": wish.key, "Prefer": prefer}
        for pause in chain(AGAIN_SECONDS, repeat(AGAIN_SECONDS[-1])):
            answer = await self._ask("POST", "/sagas/start", json=wish.body, headers=headers)
            if (told := await self._note(wish.key, answer)) is not None:
                return told
            self.asked_again += 1
            await asyncio.sleep(pause)
        raise AssertionError("it is asked for ever")

    async def _ask(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            url = self._chance.choice(self.urls) + path
            return await self._web.request(method, url, **request)
        return None

    async def _note(self, request: str | None, answer: httpx.Response | None) -> Told | None:
        """What was told, if it was; a refusal that does not go away is a surprise."""
        if answer is None or answer.is_server_error or answer.status_code in LATER:
            return None
        if not answer.is_success:
            self.surprises.append(f"{answer.request.url.path}: {answer.text}")
            return None
        told = answer.json()
        line = {name: told[name] for name in ("saga_id", "status", "version") if name in told}
        at = datetime.now(UTC).isoformat()
        self.answers.append({"at": at, "request": request, **line})
        return {"http": answer.status_code, **line}
