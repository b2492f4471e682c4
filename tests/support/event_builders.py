"""Events and streams for tests of the log."""

from __future__ import annotations

from datetime import UTC, datetime

from saga_orchestrator.eventstore.event import NewEvent, StreamId

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_event(kind: str = "Happened", payload: bytes = b"{}") -> NewEvent:
    return NewEvent(type=kind, schema_version=1, recorded_at=NOON, payload=payload)


def make_stream_id(shard_id: int, number: int = 1) -> StreamId:
    return StreamId(f"018f0000-0000-7000-8000-{number:010x}{shard_id:02x}")
