"""Checks of the status table: each row must match the replay of its saga at the row's version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...eventstore.postgres import ReaderPool, uuid_array
from ...fsm.invariants import History, Invariant, Violation
from ..status_table import status_columns


@dataclass(frozen=True, slots=True)
class RowVersion:
    """The version of the last event that a row covers."""

    saga_id: str
    version: int


async def check_rows(
    readers: ReaderPool, histories: Sequence[History], checkpoint: int
) -> Sequence[Violation]:
    """Compare the rows of sagas of one shard with their histories.

    `checkpoint` is the one of the shard before the histories were read. Raises LogUnavailable.
    """
    saga_ids = {"saga_id": uuid_array([history.saga_id for history in histories])}
    rows = await readers.fetch(RowVersion, "read_row_versions", saga_ids)
    versions = {row.saga_id: row.version for row in rows}
    replayed = [
        history.saga_at(versions[history.saga_id])
        for history in histories
        if 1 <= versions.get(history.saga_id, 0) <= history.version
    ]
    differing = await readers.fetch(RowVersion, "find_differing_rows", status_columns(replayed))
    return [*_behind(histories, versions, checkpoint), *map(_differs, differing)]


def _behind(
    histories: Sequence[History], versions: Mapping[str, int], checkpoint: int
) -> Iterator[Violation]:
    for history in histories:
        covered = max((e.version for e in history.entries if e.seq <= checkpoint), default=0)
        version = versions.get(history.saga_id, 0)
        if version < covered:
            detail = f"the checkpoint covers version {covered}, but its row is at version {version}"
            yield _violation(history.saga_id, covered, detail)


def _differs(row: RowVersion) -> Violation:
    return _violation(row.saga_id, row.version, "its row differs from the replay of the saga")


def _violation(saga_id: str, version: int, detail: str) -> Violation:
    return Violation(
        code=Invariant.STATUS_IS_A_FOLD, saga_id=saga_id, version=version, detail=detail
    )
