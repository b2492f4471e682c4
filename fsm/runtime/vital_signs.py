"""Whether the service is well: it depends on a database that answers and takes what is written, and
on its place among the nodes, for who drives no shard can start nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ...eventstore import EventLog, LogUnavailable
from ..plural import counted
from .callbacks import Callbacks, Owed
from .orchestrator import STALLED
from .ownership import Ownership
from .unaddressed import without_url

OWED_FOR_LONG: Final = timedelta(minutes=5)
SILENT: Final = timedelta(seconds=2)  # without a sign of life there is trouble


@dataclass(frozen=True, slots=True)
class Check:
    """`warns`: the service works, and a person should look."""

    ok: bool
    detail: str = ""
    warns: bool = False


class VitalSigns:
    def __init__(
        self,
        log: EventLog,
        ownership: Ownership,
        callbacks: Callbacks,
        refusals: Iterable[str] = (),
        unaddressed: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`refusals` are what the database refuses until somebody changes something.

        `unaddressed` gives the participants without a URL, with how many sagas wait for them.
        """
        self.log, self.ownership, self.callbacks = log, ownership, callbacks
        self.refusals, self.unaddressed = refusals, unaddressed

    async def check(self) -> Mapping[str, Check]:
        """Each dependency by name. Trouble is a value: it never raises."""
        return {
            "database": await self._database(),
            "statements": self._statements(),
            "shards": self._shards(),
            "callbacks": check_of(self.callbacks.owed()),
            "participants": check_addresses(self.unaddressed()),
        }

    async def _database(self) -> Check:
        try:
            await self.log.ping()
        except LogUnavailable as error:
            return Check(False, str(error))
        stalled, lost = self.log.stalled_for, self.log.history_lost
        if stalled is not None and stalled > STALLED:
            return Check(False, f"no append for {stalled.total_seconds():.0f} s")
        if lost is not None:
            return Check(False, f"{lost}; start the service again to go on from there")
        return Check(True)

    def _statements(self) -> Check:
        refused = list(self.refusals)
        return Check(True, " | ".join(refused), warns=bool(refused))

    def _shards(self) -> Check:
        trouble = self.ownership.trouble(SILENT)
        return Check(trouble is None, trouble or "")


def check_addresses(unaddressed: Mapping[str, int]) -> Check:
    """A warning if calls wait for participants whose URL is not known."""
    details = [
        f"{counted(sagas, 'saga waits', 'sagas wait')}: {without_url(name)}"
        for name, sagas in sorted(unaddressed.items())
    ]
    return Check(True, " | ".join(details), warns=bool(details))


def check_of(owed: Owed | None) -> Check:
    """A warning if a receiver has not taken its callback for long."""
    if owed is None or owed.longest < OWED_FOR_LONG:
        return Check(True)
    minutes = owed.longest // timedelta(minutes=1)
    owe = counted(owed.number, "callback is", "callbacks are")
    return Check(
        True,
        f"{owe} owed, that of saga {owed.saga_id} for {minutes} minutes: "
        "its receiver does not answer with 2xx",
        warns=True,
    )
