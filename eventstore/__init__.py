"""The log: streams of events in ordered shards, with one owner each. Knows nothing of what they
mean."""

from .cluster.assignment import Assignment, assign_shards
from .cluster.inbox import Inbox, Message
from .cluster.membership import ClusterView, Membership, Node
from .cluster.memory import InMemoryInbox, InMemoryMembership, MemoryCluster
from .cluster.postgres import PostgresInbox, PostgresMembership
from .embedded import EmbeddedServer, embedded_server, has_embedded_server
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
from .postgres.event_log import PostgresLog
from .postgres.migrations import MIGRATIONS, migrate
from .postgres.reader_pool import ReaderPool
from .postgres.refusals import Refusals, describe_error
from .postgres.requirements import require_suitable_database
from .postgres.statements import DatabaseMode

__all__ = [
    "EMPTY_HEAD",
    "GENESIS_HASH",
    "MAX_PAGE_BYTES",
    "MIGRATIONS",
    "SHARD_COUNT",
    "SHARD_OWNED",
    "AppendRefused",
    "Assignment",
    "ClaimFailed",
    "ClusterView",
    "DatabaseMode",
    "Document",
    "EmbeddedServer",
    "EmbeddedServerFailed",
    "EventLog",
    "EventStoreError",
    "Fenced",
    "Head",
    "InMemoryInbox",
    "InMemoryLog",
    "InMemoryMembership",
    "Inbox",
    "InvalidEvent",
    "InvalidStreamId",
    "KeyClaim",
    "LogOverloaded",
    "LogTruncated",
    "LogUnavailable",
    "Membership",
    "MemoryCluster",
    "MemoryStore",
    "Message",
    "MigrationRefused",
    "NewEvent",
    "Node",
    "PostgresInbox",
    "PostgresLog",
    "PostgresMembership",
    "PutResult",
    "ReaderPool",
    "RecordedEvent",
    "Refusals",
    "StreamId",
    "UnsuitableDatabase",
    "ValueRefused",
    "WrongExpectedVersion",
    "assign_shards",
    "chain_events",
    "describe_error",
    "embedded_server",
    "find_broken_event",
    "has_embedded_server",
    "may_have_more",
    "migrate",
    "require_suitable_database",
    "shard_of",
    "shard_stream",
]
