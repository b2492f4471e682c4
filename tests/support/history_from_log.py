"""A saga from its log, in the form in which invariants are checked."""

from __future__ import annotations

from collections.abc import Sequence

from saga_orchestrator.eventstore.event import RecordedEvent
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import LogRow, SimulatedProcess


def process_from_log(definition: Definition, stream: Sequence[RecordedEvent]) -> SimulatedProcess:
    """Return a simulated process with the history of `stream`, and without calls of its own."""
    log = [
        LogRow(event.type, event.schema_version, event.payload, event.recorded_at, event.epoch)
        for event in stream
    ]
    return SimulatedProcess.from_log(definition, stream[0].stream_id, log)
