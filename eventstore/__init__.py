"""The log: streams of events in ordered shards, with one owner each. Knows nothing of what they
mean."""

from .allotment import Allotment, allot
from .chain import link, verify
from .embedded import EmbeddedServer, embedded_server, has_embedded_server
from .errors import (
    AppendRefused,
    ClaimFailed,
    DatabaseUnfit,
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
    RecordedEvent,
    StreamId,
    shard_of,
    shard_stream,
)
from .inbox import Inbox, Message
from .log import PAGE_BYTES, Document, EventLog, KeyClaim, PutResult, is_cut
from .membership import Membership
from .memory_log import InMemoryLog, MemoryStore
from .memory_nodes import InMemoryInbox, InMemoryMembership, MemoryNodes
from .migrations import MIGRATIONS, migrate
from .postgres_inbox import PostgresInbox
from .postgres_log import PostgresLog
from .postgres_membership import PostgresMembership
from .readers import Readers
from .refusals import Refusals, explained
from .requirements import require_fit
from .roster import Node, Roster
from .statements import Mode

__all__ = [
    "GENESIS",
    "MIGRATIONS",
    "NOTHING",
    "PAGE_BYTES",
    "SHARDS",
    "SHARD_OWNED",
    "Allotment",
    "AppendRefused",
    "ClaimFailed",
    "DatabaseUnfit",
    "Document",
    "EmbeddedServer",
    "EmbeddedServerFailed",
    "EventLog",
    "EventStoreError",
    "Fenced",
    "Head",
    "HistoryLost",
    "InMemoryInbox",
    "InMemoryLog",
    "InMemoryMembership",
    "Inbox",
    "InvalidEvent",
    "InvalidStreamId",
    "KeyClaim",
    "LogOverloaded",
    "LogUnavailable",
    "Membership",
    "MemoryNodes",
    "MemoryStore",
    "Message",
    "MigrationRefused",
    "Mode",
    "NewEvent",
    "Node",
    "PostgresInbox",
    "PostgresLog",
    "PostgresMembership",
    "PutResult",
    "Readers",
    "RecordedEvent",
    "Refusals",
    "Roster",
    "StreamId",
    "ValueRefused",
    "WrongExpectedVersion",
    "allot",
    "embedded_server",
    "explained",
    "has_embedded_server",
    "is_cut",
    "link",
    "migrate",
    "require_fit",
    "shard_of",
    "shard_stream",
    "verify",
]
