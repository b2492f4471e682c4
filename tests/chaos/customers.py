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
from saga_orchestrator.tests.chaos.receiver import Receiver
from saga_orchestrator.tests.chaos.wishes import WORDS, Kind, Regret, Wish, wish

PATIENCE_SECONDS = 8  # a node that says nothing for so long is not waited for
AGAIN_SECONDS = (0.3, 0.6, 1.2, 2.4, 4.8)  # between asking and asking again; the last one for ever
ANSWERED_WITHIN_SECONDS = 150  # asked again and again
AT_A_TIME = 24  # who asks for an ending; each may wait for seconds
# Of a regret: what it asks for is not possible any more. Of a start: somebody is at it.
LATER = (httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS)

Told = Mapping[str, Any]


class Customers:
    def __init__(self, seed: int, urls: Sequence[str], receiver: Receiver) -> None:
        self.seed, self.urls, self.receiver = seed, urls, receiver
        self.answers: list[dict[str, Any]] = []
        self.surprises: list[str] = []
        self.asked_again = 0
        self._said: set[tuple[int, int]] = set()
        self._chance = random.Random(seed)
        # Nobody waits for the connections of others, of which frozen nodes may hold any number.
        self._web = httpx.AsyncClient(
            timeout=PATIENCE_SECONDS, limits=httpx.Limits(max_connections=None), trust_env=False
        )

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
        starts = [self._started(wish, wish.prefer) for _ in range(1 + wish.hasty)]
        saga_id = (await asyncio.gather(*starts))[0]["saga_id"]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._regret(wish, saga_id))
            if wish.kind is Kind.APPROVED:
                group.create_task(self._approve(wish, saga_id))
        await self._note(None, await self._ask("GET", f"/sagas/{saga_id}/status"))

    async def _regret(self, wish: Wish, saga_id: str) -> None:
        await asyncio.sleep(wish.after)
        if wish.regret is not None:
            await self._note(None, await self._ask("POST", f"/sagas/{saga_id}/{wish.regret}"))
        if wish.regret is Regret.PAUSE:
            await asyncio.sleep(wish.after)
            await self._resume(saga_id)

    async def _resume(self, saga_id: str) -> None:
        await self._note(None, await self._ask("POST", f"/sagas/{saga_id}/resume"))

    async def _approve(self, wish: Wish, saga_id: str) -> None:
        """One word after the other; who is hasty repeats the one before with the last one."""
        for word in WORDS:
            if (wish.number, word) in self._said:
                continue  # it counts, so a saga that has not heard it never will
            await self._say(wish, saga_id, word)
            self._said.add((wish.number, word))
            if wish.hasty:
                said = [self._say(wish, saga_id, each) for each in WORDS[:word]]
                await asyncio.gather(*said)

    async def _say(self, wish: Wish, saga_id: str, word: int) -> None:
        """Until it is heard, or the saga rests."""
        headers = {"Idempotency-Key": f"{wish.key}-word-{word}"}
        path = f"/sagas/{saga_id}/signals/word"
        async for answer in self._asking("POST", path, json=word, headers=headers):
            if answer is not None and answer.status_code == httpx.codes.CONFLICT:
                return
            if await self._note(None, answer) is not None:
                return

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

    async def await_callbacks(self, wishes: Sequence[Wish], within: float) -> None:
        """Who wanted to be told of a rest is told of it."""
        wanted = {one.key for one in wishes if one.is_told}
        owed = {one["saga_id"] for one in self.answers if one["request"] in wanted}
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not owed <= self.receiver.told.keys():
                    self.receiver.came.clear()
                    await self.receiver.came.wait()
        untold = sorted(owed - self.receiver.told.keys())
        self.surprises += [f"{saga_id}: its callback never came" for saga_id in untold]

    async def _ended(self, wish: Wish) -> str:
        """A pause may have arrived after all, and behind its end; and who was not answered in time
        has not said all."""
        while (told := await self._started(wish, "wait=5"))["http"] != httpx.codes.OK:
            if wish.regret is Regret.PAUSE:
                await self._resume(told["saga_id"])
            if wish.kind is Kind.APPROVED:
                await self._approve(wish, told["saga_id"])
        status = str(told["status"])
        if status == "completed":
            await self._check(wish, told["saga_id"])
        return status

    async def _check(self, wish: Wish, saga_id: str) -> None:
        """What has come about is what was wished for."""
        if not (wish.pays and (wish.kind is not Kind.PARCEL or wish.parcel["arrives"])):
            self.surprises.append(f"{saga_id} was completed, and should not have been")
        if wish.kind is Kind.APPROVED:
            async for answer in self._asking("GET", f"/sagas/{saga_id}/status"):
                if answer is not None and answer.is_success:
                    heard = tuple(_words(answer.json()))
                    break
            if heard != WORDS:
                self.surprises.append(f"{saga_id} has heard {heard}, and was told {WORDS}")

    async def _started(self, wish: Wish, prefer: str) -> Told:
        """Asked of one node after the other until one of them knows."""
        headers = {"Idempotency-Key": wish.key, "Prefer": prefer}
        callback = {"callback_url": f"{self.receiver.url}/{wish.key}"} if wish.is_told else {}
        body = {**wish.body, **callback}
        asking = self._asking("POST", "/sagas/start", json=body, headers=headers)
        async for answer in asking:
            if (told := await self._note(wish.key, answer)) is not None:
                return told
        raise AssertionError("it is asked for ever")

    async def _asking(
        self, method: str, path: str, **request: Any
    ) -> AsyncIterator[httpx.Response | None]:
        """Again and again, until nobody wants the next answer."""
        for pause in chain(AGAIN_SECONDS, repeat(AGAIN_SECONDS[-1])):
            yield await self._ask(method, path, **request)
            self.asked_again += 1
            await asyncio.sleep(pause)

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


def _words(status: Told) -> list[Any]:
    return [one["output"] for one in status["steps"] if one["name"].endswith("_word")]
