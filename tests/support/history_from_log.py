"""A saga as its log tells it, in the form in which promises are checked."""

from __future__ import annotations

from collections.abc import Sequence

from saga_orchestrator.eventstore.event import RecordedEvent
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import LogRow, SimulatedProcess


def process_from_log(definition: Definition, stream: Sequence[RecordedEvent]) -> SimulatedProcess:
    """Without what its process has seen: whoever drove it is somebody else."""
    log = [
        LogRow(one.type, one.schema_version, one.payload, one.recorded_at, one.epoch)
        for one in stream
    ]
    return SimulatedProcess.from_log(definition, stream[0].stream_id, log)
