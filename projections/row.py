"""Sagas as rows of the status view."""

from __future__ import annotations

from collections.abc import Sequence

from ..eventstore import shard_of
from ..eventstore.columns import (
    bools,
    instants,
    int4s,
    jsonbs,
    optional_instants,
    optional_texts,
    texts,
    uuids,
)
from ..fsm.command import is_over, wake_up
from ..fsm.decide import is_idle
from ..fsm.saga import Saga
from ..fsm.strict_json import serialize
from .status import current_step, parked_view


def columns(sagas: Sequence[Saga]) -> dict[str, bytes]:
    """One array a column, as `unnest` takes them."""
    states = [saga.state for saga in sagas]
    return {
        "saga_id": uuids([one.saga_id for one in states]),
        "shard_id": int4s([shard_of(one.saga_id) for one in states]),
        "saga_type": texts([one.saga_type for one in states]),
        "definition_version": int4s([one.definition_version for one in states]),
        "entity_id": jsonbs([serialize(one.entity_id) for one in states]),
        "status": texts([one.status for one in states]),
        "rests": bools([is_over(one) for one in sagas]),
        "idle": bools([is_idle(one) for one in sagas]),
        "wake_at": optional_instants([wake_up(one) for one in sagas]),
        "current_step": optional_texts([current_step(one) for one in sagas]),
        "error": optional_texts([one.error for one in states]),
        "parked_at": optional_instants(
            [one.parked.since if one.parked else None for one in states]
        ),
        # Most sagas have neither, and no need for the serializer to say so.
        "parked": jsonbs(
            [serialize(parked_view(one)) if one.state.parked else b"null" for one in sagas]
        ),
        "paused": bools([one.paused_at is not None for one in states]),
        "tags": jsonbs([serialize(one.tags) if one.tags else b"{}" for one in states]),
        "version": int4s([one.version for one in states]),
        "created_at": instants([one.created_at for one in states]),
        "updated_at": instants([one.updated_at for one in states]),
    }
