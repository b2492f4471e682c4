"""Health of the service: the database answers and accepts appends, and this node drives shards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from ...eventstore import EventLog, LogUnavailable
from ..formats.wording import counted
from .calls.participant_settings import missing_url_message
from .completion_webhooks import CompletionWebhooks, PendingWebhooks
from .orchestrator import MAX_LOG_STALL
from .sharding.rebalancer import ShardRebalancer

MAX_WEBHOOK_AGE: Final = timedelta(minutes=5)
MAX_HEARTBEAT_AGE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The state of one dependency. `warns`: it works, and an operator should look at it."""

    ok: bool
    detail: str = ""
    warns: bool = False


class HealthCheck:
    """Checks all dependencies of the service."""

    def __init__(
        self,
        log: EventLog,
        rebalancer: ShardRebalancer,
        webhooks: CompletionWebhooks,
        refusals: Iterable[str] = (),
        missing_urls: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`refusals` are errors that the database repeats until an operator changes its settings.

        `missing_urls` returns the participants without a URL, with the number of sagas that wait.
        """
        self.log, self.rebalancer, self.webhooks = log, rebalancer, webhooks
        self.refusals, self.missing_urls = refusals, missing_urls

    async def check(self) -> Mapping[str, CheckResult]:
        """Return the state of each dependency by name. Never raises: a failure is a result."""
        return {
            "database": await self._database(),
            "statements": self._statements(),
            "shards": self._shards(),
            "callbacks": check_webhooks(self.webhooks.pending()),
            "participants": check_participants(self.missing_urls()),
        }

    async def _database(self) -> CheckResult:
        try:
            await self.log.ping()
        except LogUnavailable as error:
            return CheckResult(False, str(error))
        stalled, lost = self.log.stalled_for, self.log.truncation
        if stalled is not None and stalled > MAX_LOG_STALL:
            return CheckResult(False, f"no append for {stalled.total_seconds():.0f} s")
        if lost is not None:
            return CheckResult(False, f"{lost}; start the service again to go on from there")
        return CheckResult(True)

    def _statements(self) -> CheckResult:
        refused = list(self.refusals)
        return CheckResult(True, " | ".join(refused), warns=bool(refused))

    def _shards(self) -> CheckResult:
        problem = self.rebalancer.problem(MAX_HEARTBEAT_AGE)
        return CheckResult(problem is None, problem or "")


class Health(Protocol):
    async def check(self) -> Mapping[str, CheckResult]:
        """Return the state of each dependency by name. Never raises: a failure is a result."""


class SingleFlightHealthCheck:
    """Runs one check at a time, and answers in bounded time.

    A frozen database does not even let a query be cancelled, so callers that come meanwhile share
    the check in flight, and none waits longer than its own limit.
    """

    def __init__(self, health: Health) -> None:
        self.health = health
        self._running: asyncio.Task[Mapping[str, CheckResult]] | None = None

    async def check(self, within: timedelta) -> Mapping[str, CheckResult]:
        """Return the result of the check, or that there is none within that time."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._check())
        done, _ = await asyncio.wait({self._running}, timeout=within.total_seconds())
        if not done:
            return {"answer": CheckResult(False, f"none within {within.total_seconds():g} s")}
        return self._running.result()

    async def _check(self) -> Mapping[str, CheckResult]:
        return await self.health.check()


def check_participants(missing_urls: Mapping[str, int]) -> CheckResult:
    """Warn if calls wait for participants without a URL."""
    details = [
        f"{counted(sagas, 'saga waits', 'sagas wait')}: {missing_url_message(name)}"
        for name, sagas in sorted(missing_urls.items())
    ]
    return CheckResult(True, " | ".join(details), warns=bool(details))


def check_webhooks(pending: PendingWebhooks | None) -> CheckResult:
    """Warn if a receiver has not acknowledged its webhook for a long time."""
    if pending is None or pending.oldest_age < MAX_WEBHOOK_AGE:
        return CheckResult(True)
    minutes = pending.oldest_age // timedelta(minutes=1)
    subject = counted(pending.number, "webhook is", "webhooks are")
    return CheckResult(
        True,
        f"{subject} pending, that of saga {pending.saga_id} for {minutes} minutes: "
        "its receiver does not answer with 2xx",
        warns=True,
    )
