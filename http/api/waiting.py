"""Wait for a saga whose change is already recorded.

A failure of the wait is not a failure of the request: the response shows how far the saga has come,
and is never an error on which the client would send the request again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ...fsm.runtime.errors import Unavailable
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga

RETRY_AFTER_SECONDS: Final = "1"  # until it is worth asking for the saga again


async def wait_for_rest(orchestrator: Orchestrator, saga: Saga, limit: timedelta) -> Saga:
    """Return the saga as soon as it is at rest, or as it is after `limit`."""
    if not limit or saga.state.status.is_at_rest:
        return saga
    try:
        return await orchestrator.wait_until_rest(saga, limit)
    except Unavailable:
        return saga
