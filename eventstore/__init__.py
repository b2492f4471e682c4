"""An event log: streams of events in ordered shards, each with one owner at a time.

It does not know what the events mean. This package is the log itself, and the log in memory;
`postgres` is the log in PostgreSQL, `cluster` the membership of nodes, the inbox between them and
their jobs, `embedded` a PostgreSQL server that needs no installation. Other rooms import the names
in `__all__`, here, in `postgres` and in `cluster`, never a module behind them. Only the composition
root also imports `embedded` and the modules that implement `cluster` in PostgreSQL.
"""

from .errors import (
    AppendRefused,
    ClaimFailed,
    EmbeddedServerFailed,
    EventStoreError,
    Fenced,
    InvalidEvent,
    InvalidStreamId,
    LogOverloaded,
    LogTruncated,
    LogUnavailable,
    MigrationRefused,
    UnsuitableDatabase,
    ValueRefused,
    WrongExpectedVersion,
)
from .event import (
    EMPTY_HEAD,
    SHARD_COUNT,
    SHARD_OWNED,
    Head,
    NewEvent,
    RecordedEvent,
    StreamId,
    shard_of,
    shard_stream,
)
from .event_log import MAX_PAGE_BYTES, Document, EventLog, KeyClaim, PutResult, may_have_more
from .hash_chain import find_broken_event
from .memory import InMemoryLog, MemoryStore

__all__ = [
    "EMPTY_HEAD",
    "MAX_PAGE_BYTES",
    "SHARD_COUNT",
    "SHARD_OWNED",
    "AppendRefused",
    "ClaimFailed",
    "Document",
    "EmbeddedServerFailed",
    "EventLog",
    "EventStoreError",
    "Fenced",
    "Head",
    "InMemoryLog",
    "InvalidEvent",
    "InvalidStreamId",
    "KeyClaim",
    "LogOverloaded",
    "LogTruncated",
    "LogUnavailable",
    "MemoryStore",
    "MigrationRefused",
    "NewEvent",
    "PutResult",
    "RecordedEvent",
    "StreamId",
    "UnsuitableDatabase",
    "ValueRefused",
    "WrongExpectedVersion",
    "find_broken_event",
    "may_have_more",
    "shard_of",
    "shard_stream",
]
