"""Tables that cannot be written to for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.tables import Tables


class FailingTables(Tables):
    """Fail as often as they are told to."""

    failures = 0

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        if self.failures:
            self.failures -= 1
            raise psycopg.OperationalError("the connection is lost")
        await super().write(sagas, before, after)
