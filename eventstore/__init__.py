"""An event log: streams of events in ordered shards, each with one owner at a time.

It does not know what the events mean. This package is the log itself, and the log in memory;
`postgres` is the log in PostgreSQL, `cluster` the membership of nodes and the inbox between them,
`embedded` a PostgreSQL server that needs no installation.
"""

from .errors import (
    AppendRefused,
    ClaimFailed,
    EventStoreError,
    Fenced,
    InvalidEvent,
    InvalidStreamId,
    LogOverloaded,
    LogTruncated,
    LogUnavailable,
    ValueRefused,
    WrongExpectedVersion,
)
from .event import (
    EMPTY_HEAD,
    GENESIS_HASH,
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
from .hash_chain import chain_events, find_broken_event
from .memory import InMemoryLog, MemoryStore

__all__ = [
    "EMPTY_HEAD",
    "GENESIS_HASH",
    "MAX_PAGE_BYTES",
    "SHARD_COUNT",
    "SHARD_OWNED",
    "AppendRefused",
    "ClaimFailed",
    "Document",
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
    "NewEvent",
    "PutResult",
    "RecordedEvent",
    "StreamId",
    "ValueRefused",
    "WrongExpectedVersion",
    "chain_events",
    "find_broken_event",
    "may_have_more",
    "shard_of",
    "shard_stream",
]
