"""A saga as a row of the status view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from ..eventstore import shard_of
from ..fsm.saga import Saga
from .status import current_step


def columns(sagas: Sequence[Saga]) -> dict[str, list[object]]:
    """One list a column, as `unnest` takes them."""
    rows = [_row(saga) for saga in sagas]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _row(saga: Saga) -> dict[str, str | int | bool | datetime | Jsonb | None]:
    state = saga.state
    return {
        "saga_id": state.saga_id,
        "shard_id": shard_of(state.saga_id),
        "saga_type": state.saga_type,
        "definition_version": state.definition_version,
        "entity_id": Jsonb(state.entity_id),
        "status": state.status.value,
        "rests": state.status.rests and not saga.owes_callback,
        "current_step": current_step(saga),
        "error": state.error,
        "tags": Jsonb(dict(state.tags)),
        "version": state.version,
        "created_at": state.created_at,
        "updated_at": state.updated_at,
    }
