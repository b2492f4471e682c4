"""Is the service well? Asked of what it depends on, and answered in bounded time.

A database that is frozen does not even let a question to it be cancelled. So at most one question
is under way; who asks meanwhile waits for the same one, and nobody longer than their own limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from ..fsm.runtime.health import CheckResult


class Health(Protocol):
    async def check(self) -> Mapping[str, CheckResult]:
        """Each dependency by name. Trouble is a value: it never raises."""


class HealthQuestion:
    def __init__(self, health: Health) -> None:
        self.health = health
        self._asking: asyncio.Task[Mapping[str, CheckResult]] | None = None

    async def ask(self, within: timedelta) -> Mapping[str, CheckResult]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._check())
        done, _ = await asyncio.wait({self._asking}, timeout=within.total_seconds())
        if not done:
            return {"answer": CheckResult(False, f"none within {within.total_seconds():g} s")}
        return self._asking.result()

    async def _check(self) -> Mapping[str, CheckResult]:
        return await self.health.check()
