"""Waiting for a saga whose change is recorded already.

Trouble with the wait is no longer trouble with the request: whoever waited is told how far the
saga has come, and never an error on which they would send the request again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ...fsm.runtime.errors import Unavailable
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga

RETRY_AFTER_SECONDS: Final = "1"  # seconds until it is worth asking how far it is


async def wait_for_rest(orchestrator: Orchestrator, saga: Saga, within: timedelta) -> Saga:
    """The saga once it rests, or as far as it has come."""
    if not within or saga.state.status.is_at_rest:
        return saga
    try:
        return await orchestrator.wait_until_rest(saga, within)
    except Unavailable:
        return saga
