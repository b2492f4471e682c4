"""What the shell refuses.

RuntimeRefusal
├── SagaNotFound            no saga of that id
├── VersionMoved            the saga is not at the version that was expected
├── VersionNotReached       the saga has no such version, or not yet
├── DefinitionNotFound      no definition of that name, or not in that version
├── DefinitionExists        the version exists with another content
├── IdempotencyKeyReused    the key was used for another body
└── NotServing              stopping, or the log cannot take anything now
    ├── LogBusy             too much waits to be recorded; nothing was
    ├── NotDrivenHere       another node drives the saga; nothing was recorded
    └── InDoubt             nobody said whether what was asked is recorded: it may be
"""

from __future__ import annotations

from ...eventstore import Fenced, LogOverloaded, LogUnavailable


class RuntimeRefusal(Exception):
    """Whatever the shell refuses."""


class SagaNotFound(RuntimeRefusal):
    def __init__(self, saga_id: str) -> None:
        super().__init__(f"there is no saga {saga_id[:80]}")
        self.saga_id = saga_id


class VersionMoved(RuntimeRefusal):
    def __init__(self, saga_id: str, version: int) -> None:
        super().__init__(f"saga {saga_id} is at version {version} by now")
        self.saga_id, self.version = saga_id, version


class VersionNotReached(RuntimeRefusal):
    def __init__(self, saga_id: str, why: str) -> None:
        super().__init__(f"saga {saga_id} {why}")
        self.saga_id = saga_id


class DefinitionNotFound(RuntimeRefusal):
    def __init__(self, name: str, version: int | None = None) -> None:
        which = f"{name} version {version}" if version is not None else name
        super().__init__(f"there is no definition {which}")
        self.name, self.version = name, version


class DefinitionExists(RuntimeRefusal):
    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"{name} version {version} exists with another content; versions never change,"
            " register the next one"
        )
        self.name, self.version = name, version


class IdempotencyKeyReused(RuntimeRefusal):
    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used to start something else")
        self.key = key


class NotServing(RuntimeRefusal):
    """Stopping, or the log takes nothing now. Ask again, with a key if it was a start."""


class LogBusy(NotServing):
    """Nothing was recorded, and a moment later it may be."""


class NotDrivenHere(NotServing):
    def __init__(self, saga_id: str) -> None:
        super().__init__(f"saga {saga_id} is driven by another node")
        self.saga_id = saga_id


class InDoubt(NotServing):
    """What was asked may or may not have been recorded. If it was, it is carried out."""


def not_recorded(error: LogOverloaded | Fenced | LogUnavailable, saga_id: str) -> NotServing:
    """What the log says to an append, in the words of whoever asked something of the saga."""
    match error:
        case LogOverloaded():
            return LogBusy(str(error))
        case Fenced():
            return NotDrivenHere(saga_id)
        case LogUnavailable():
            return InDoubt(str(error))
