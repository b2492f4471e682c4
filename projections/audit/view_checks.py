"""Whether the rows of the status view are what their sagas fold into, each at its own version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...eventstore.postgres.binary_arrays import uuid_array
from ...eventstore.postgres.reader_pool import ReaderPool
from ...fsm.invariants import History, Invariant, Violation
from ..status_table import PROJECTION, status_columns


@dataclass(frozen=True, slots=True)
class Checkpoint:
    shard_id: int
    seq: int


@dataclass(frozen=True, slots=True)
class RowVersion:
    saga_id: str
    version: int


async def read_checkpoints(readers: ReaderPool) -> Mapping[int, int]:
    """By shard. Raises LogUnavailable."""
    found = await readers.fetch(Checkpoint, "read_checkpoints", {"projection": PROJECTION})
    return {one.shard_id: one.seq for one in found}


async def check_rows(
    readers: ReaderPool, histories: Sequence[History], checkpoint: int
) -> Sequence[Violation]:
    """Of sagas of one shard; `checkpoint` is what their rows had reached when the histories were
    read. Raises LogUnavailable."""
    named = {"saga_id": uuid_array([one.saga_id for one in histories])}
    found = await readers.fetch(RowVersion, "read_row_versions", named)
    reached = {one.saga_id: one.version for one in found}
    told = [
        one.saga_at(reached[one.saga_id])
        for one in histories
        if 1 <= reached.get(one.saga_id, 0) <= one.version
    ]
    differing = await readers.fetch(RowVersion, "find_differing_rows", status_columns(told))
    return [*_behind(histories, reached, checkpoint), *map(_differs, differing)]


def _behind(
    histories: Sequence[History], reached: Mapping[str, int], checkpoint: int
) -> Iterator[Violation]:
    for history in histories:
        covered = max((one.version for one in history.entries if one.seq <= checkpoint), default=0)
        row = reached.get(history.saga_id, 0)
        if row < covered:
            detail = f"the checkpoint covers version {covered}, and its row is at version {row}"
            yield _violation(history.saga_id, covered, detail)


def _differs(row: RowVersion) -> Violation:
    return _violation(row.saga_id, row.version, "its row is not what the saga folds into")


def _violation(saga_id: str, version: int, detail: str) -> Violation:
    return Violation(
        code=Invariant.STATUS_IS_A_FOLD, saga_id=saga_id, version=version, detail=detail
    )
