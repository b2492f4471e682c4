"""Health of the service: the database answers and accepts appends, and this node drives shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ...eventstore.errors import LogUnavailable
from ...eventstore.event_log import EventLog
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
        ownership: ShardRebalancer,
        callbacks: CompletionWebhooks,
        refusals: Iterable[str] = (),
        unaddressed: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`refusals` are errors that the database repeats until an operator changes its settings.

        `unaddressed` returns the participants without a URL, with the number of sagas that wait.
        """
        self.log, self.ownership, self.callbacks = log, ownership, callbacks
        self.refusals, self.unaddressed = refusals, unaddressed

    async def check(self) -> Mapping[str, CheckResult]:
        """Return the state of each dependency by name. Never raises: a failure is a result."""
        return {
            "database": await self._database(),
            "statements": self._statements(),
            "shards": self._shards(),
            "callbacks": check_webhooks(self.callbacks.pending()),
            "participants": check_participants(self.unaddressed()),
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
        trouble = self.ownership.problem(MAX_HEARTBEAT_AGE)
        return CheckResult(trouble is None, trouble or "")


def check_participants(unaddressed: Mapping[str, int]) -> CheckResult:
    """Warn if calls wait for participants without a URL."""
    details = [
        f"{counted(sagas, 'saga waits', 'sagas wait')}: {missing_url_message(name)}"
        for name, sagas in sorted(unaddressed.items())
    ]
    return CheckResult(True, " | ".join(details), warns=bool(details))


def check_webhooks(owed: PendingWebhooks | None) -> CheckResult:
    """Warn if a receiver has not acknowledged its webhook for a long time."""
    if owed is None or owed.oldest_age < MAX_WEBHOOK_AGE:
        return CheckResult(True)
    minutes = owed.oldest_age // timedelta(minutes=1)
    owe = counted(owed.number, "callback is", "callbacks are")
    return CheckResult(
        True,
        f"{owe} owed, that of saga {owed.saga_id} for {minutes} minutes: "
        "its receiver does not answer with 2xx",
        warns=True,
    )
