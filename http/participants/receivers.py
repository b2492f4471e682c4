"""The places that callbacks have at their receivers, so that one that hangs keeps no other waiting.

Receivers are bounded by their URL, by their origin, behind which many may live, and in all, since
every connection takes a descriptor of the service. The first tries and the later ones have places
apart: what has failed before waits behind what has failed too, and never before a callback that has
not been tried. A first try may take its whole time while there is room. Once another waits for its
place it must have been answered within `HURRIED`, or is tried again later. So a good receiver gets
its turn soon, however many of its neighbours hang; and one that is slow is not sent everything
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final, TypeAlias

from ...fsm.runtime.turns import Turns
from .base_url import Origin

PLACES_OF_A_URL: Final = 16
PLACES_OF_FIRST_TRIES: Final = 100  # at an origin
PLACES_OF_LATER_TRIES: Final = 50
FIRST_TRIES_IN_ALL: Final = 300
LATER_TRIES_IN_ALL: Final = 100
PLACES_OF_AN_ORIGIN: Final = PLACES_OF_FIRST_TRIES + PLACES_OF_LATER_TRIES
TIMEOUT: Final = timedelta(seconds=10)
HURRIED: Final = timedelta(seconds=2)


class Places:
    """A number of places. Who holds one keeps to `patience` once another waits."""

    def __init__(self, number: int, patience: timedelta) -> None:
        self.turns = Turns(number)
        self.patience = patience.total_seconds()
        self.holders: dict[asyncio.Timeout, float] = {}  # since when

    @property
    def is_idle(self) -> bool:
        return not self.turns.taken and not self.turns.waiting

    async def enter(self) -> None:
        if not self.turns.take():
            self._hurry()
            await self.turns.come()

    def _hurry(self) -> None:
        now = asyncio.get_running_loop().time()
        for limit, began in self.holders.items():
            end = limit.when()
            if end is not None and not limit.expired():
                limit.reschedule(min(end, max(now, began + self.patience)))


# Of a URL, of an origin, or of all; and whether they are for first tries.
Key: TypeAlias = tuple[Origin | None, str | None, bool]


class Receivers:
    def __init__(self, hurried: timedelta = HURRIED) -> None:
        self._hurried = hurried
        self.places: dict[Key, Places] = {}

    @asynccontextmanager
    async def place(self, origin: Origin, target: str, *, first_try: bool) -> AsyncIterator[None]:
        """One at the URL, at its origin and in all. Raises TimeoutError in the block."""
        keys: tuple[Key, ...] = (
            (origin, target, first_try),
            (origin, None, first_try),
            (None, None, first_try),
        )
        async with AsyncExitStack() as stack:
            held = list[Places]()
            for key in keys:
                places = self._at(key)
                stack.callback(self._forget, key)
                await places.enter()
                stack.callback(places.turns.leave)
                held.append(places)
            others_wait = any(one.turns.waiting for one in held)
            seconds = held[0].patience if others_wait else TIMEOUT.total_seconds()
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(seconds) as limit:
                for one in held:
                    one.holders[limit] = began
                    stack.callback(one.holders.pop, limit)
                yield

    def _at(self, key: Key) -> Places:
        places = self.places.get(key)
        if places is None:
            patience = self._hurried if key[-1] else TIMEOUT
            places = self.places[key] = Places(_number_of(key), patience)
        return places

    def _forget(self, key: Key) -> None:
        """URLs come from clients, so that none must stay for ever."""
        places = self.places.get(key)
        if places is not None and places.is_idle:
            del self.places[key]


def _number_of(key: Key) -> int:
    origin, target, first_try = key
    if target is not None:
        return PLACES_OF_A_URL
    if origin is not None:
        return PLACES_OF_FIRST_TRIES if first_try else PLACES_OF_LATER_TRIES
    return FIRST_TRIES_IN_ALL if first_try else LATER_TRIES_IN_ALL
