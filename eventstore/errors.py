"""The errors of the event store.

EventStoreError
├── InvalidStreamId       not a canonical UUID
├── InvalidEvent          an event that must not be recorded
├── WrongExpectedVersion  the stream has another version: read it again and decide again
├── Fenced                another owner has the shard, or this one never had it: stop working on it
├── LogTruncated          events that were confirmed are missing: the database is an older one
├── AppendRefused         the database itself refused this one append
├── ValueRefused          the database refused the value of a key or a document
├── ClaimFailed           the shards could not be claimed now
├── LogOverloaded         too many appends are waiting: try again later
├── LogUnavailable        closing, or no database for a read; an append may or may not be recorded
├── UnsuitableDatabase    a node cannot work on this database as it is configured
├── MigrationRefused      the recorded migrations are not the ones in the folder
└── EmbeddedServerFailed  the embedded PostgreSQL did not start
"""

from __future__ import annotations

from collections.abc import Sequence


class EventStoreError(Exception):
    """The base of all errors that the event store raises on purpose."""


class InvalidStreamId(EventStoreError):
    def __init__(self, text: str) -> None:
        super().__init__(f"Not a canonical lower-case UUID: {text[:60]!r}")
        self.text = text


class InvalidEvent(EventStoreError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"This event cannot be recorded: {reason}")
        self.reason = reason


class WrongExpectedVersion(EventStoreError):
    def __init__(self, stream_id: str, *, expected: int, actual: int) -> None:
        super().__init__(f"Stream {stream_id} has version {actual}, not {expected}")
        self.stream_id = stream_id
        self.expected = expected
        self.actual = actual


class Fenced(EventStoreError):
    def __init__(self, shard_id: int) -> None:
        super().__init__(f"Shard {shard_id} is not owned by this log")
        self.shard_id = shard_id


class LogTruncated(EventStoreError):
    def __init__(self, shard_id: int, seq: int) -> None:
        super().__init__(
            f"Event {seq} of shard {shard_id} was confirmed and is not in the database any more:"
            " it went back to an older state"
        )
        self.shard_id = shard_id
        self.seq = seq


class AppendRefused(EventStoreError):
    def __init__(self, stream_id: str, reason: str) -> None:
        super().__init__(f"The database refused an append to stream {stream_id}: {reason}")
        self.stream_id = stream_id
        self.reason = reason


class ValueRefused(EventStoreError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"The database refused a value: {reason}")
        self.reason = reason


class ClaimFailed(EventStoreError):
    def __init__(self, shard_ids: Sequence[int], reason: str) -> None:
        super().__init__(f"{len(shard_ids)} shards could not be claimed: {reason}")
        self.shard_ids = tuple(shard_ids)
        self.reason = reason


class LogOverloaded(EventStoreError):
    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} appends are waiting already")
        self.waiting = waiting


class LogUnavailable(EventStoreError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"The log is not available: {reason}")
        self.reason = reason


class UnsuitableDatabase(EventStoreError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"The database cannot be used: {reason}")
        self.reason = reason


class MigrationRefused(EventStoreError):
    def __init__(self, room: str, name: str, reason: str) -> None:
        super().__init__(f"Migration {room}/{name}: {reason}")
        self.room = room
        self.name = name
        self.reason = reason


class EmbeddedServerFailed(EventStoreError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"The embedded PostgreSQL failed: {reason}")
        self.reason = reason
