"""The log: streams of events in ordered shards, with one owner each. Knows nothing of what they
mean."""

from .chain import event_hash, verify
from .connection import NOT_NOW
from .embedded import EmbeddedServer, embedded_server
from .errors import (
    AppendRefused,
    ClaimFailed,
    EmbeddedServerFailed,
    EventStoreError,
    Fenced,
    HistoryLost,
    InvalidEvent,
    InvalidStreamId,
    LogOverloaded,
    LogUnavailable,
    MigrationRefused,
    ValueRefused,
    WrongExpectedVersion,
)
from .event import (
    GENESIS,
    NOTHING,
    SHARD_OWNED,
    SHARDS,
    Head,
    NewEvent,
    Position,
    RecordedEvent,
    StreamId,
    shard_of,
    shard_stream,
)
from .log import Document, EventLog, KeyClaim, PutResult
from .memory_log import InMemoryLog, MemoryStore
from .migrations import MIGRATIONS, migrate
from .postgres_log import PostgresLog
from .readers import Readers

__all__ = [
    "GENESIS",
    "MIGRATIONS",
    "NOTHING",
    "NOT_NOW",
    "SHARDS",
    "SHARD_OWNED",
    "AppendRefused",
    "ClaimFailed",
    "Document",
    "EmbeddedServer",
    "EmbeddedServerFailed",
    "EventLog",
    "EventStoreError",
    "Fenced",
    "Head",
    "HistoryLost",
    "InMemoryLog",
    "InvalidEvent",
    "InvalidStreamId",
    "KeyClaim",
    "LogOverloaded",
    "LogUnavailable",
    "MemoryStore",
    "MigrationRefused",
    "NewEvent",
    "Position",
    "PostgresLog",
    "PutResult",
    "Readers",
    "RecordedEvent",
    "StreamId",
    "ValueRefused",
    "WrongExpectedVersion",
    "embedded_server",
    "event_hash",
    "migrate",
    "shard_of",
    "shard_stream",
    "verify",
]
