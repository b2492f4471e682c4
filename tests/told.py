"""A saga as its log tells it, in the form in which promises are checked."""

from __future__ import annotations

from collections.abc import Sequence

from saga_orchestrator.eventstore import RecordedEvent
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.happening import StartRequested
from saga_orchestrator.fsm.testing import NOON, Process, Recorded


def told(definition: Definition, stream: Sequence[RecordedEvent]) -> Process:
    """Without what its process has seen: whoever drove it is somebody else."""
    request = StartRequested(entity_id=0, input={})
    process = Process(definition, stream[0].stream_id, request, now=NOON)
    process.log = [
        Recorded(one.type, one.schema_version, one.payload, one.recorded_at) for one in stream
    ]
    process.saga, process.seen = process.replayed(), {}
    return process
