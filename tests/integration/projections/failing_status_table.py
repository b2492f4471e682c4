"""A status table whose database fails on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.status_table import StatusTable


class FailingStatusTable(StatusTable):
    """Fails the next `failures` writes."""

    failures = 0

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        if self.failures:
            self.failures -= 1
            raise psycopg.OperationalError("the connection is lost")
        await super().write(sagas, before, after)
