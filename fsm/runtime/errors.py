"""What the shell refuses.

OrchestratorError
├── SagaNotFound            no saga of that id
├── VersionConflict         the saga is not at the version that was expected
├── VersionNotReached       the saga has no such version, or not yet
├── DefinitionNotFound      no definition of that name, or not in that version
├── DefinitionExists        the version exists with another content
├── IdempotencyKeyReused    the key was used for another body
└── Unavailable             stopping, or the log cannot take anything now
    ├── Overloaded          too much waits to be recorded; nothing was
    ├── NotShardOwner       another node drives the saga; nothing was recorded
    └── OutcomeUnknown      nobody said whether what was asked is recorded: it may be
"""

from __future__ import annotations

from ...eventstore.errors import Fenced, LogOverloaded, LogUnavailable


class OrchestratorError(Exception):
    """Whatever the shell refuses."""


class SagaNotFound(OrchestratorError):
    def __init__(self, saga_id: str) -> None:
        super().__init__(f"there is no saga {saga_id[:80]}")
        self.saga_id = saga_id


class VersionConflict(OrchestratorError):
    def __init__(self, saga_id: str, version: int) -> None:
        super().__init__(f"saga {saga_id} is at version {version} by now")
        self.saga_id, self.version = saga_id, version


class VersionNotReached(OrchestratorError):
    def __init__(self, saga_id: str, why: str) -> None:
        super().__init__(f"saga {saga_id} {why}")
        self.saga_id = saga_id


class DefinitionNotFound(OrchestratorError):
    def __init__(self, name: str, version: int | None = None) -> None:
        which = f"{name} version {version}" if version is not None else name
        super().__init__(f"there is no definition {which}")
        self.name, self.version = name, version


class DefinitionExists(OrchestratorError):
    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"{name} version {version} exists with another content; versions never change,"
            " register the next one"
        )
        self.name, self.version = name, version


class IdempotencyKeyReused(OrchestratorError):
    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used to start something else")
        self.key = key


class Unavailable(OrchestratorError):
    """Stopping, or the log takes nothing now. Ask again, with a key if it was a start."""


class Overloaded(Unavailable):
    """Nothing was recorded, and a moment later it may be."""


class NotShardOwner(Unavailable):
    def __init__(self, saga_id: str) -> None:
        super().__init__(f"saga {saga_id} is driven by another node")
        self.saga_id = saga_id


class OutcomeUnknown(Unavailable):
    """What was asked may or may not have been recorded. If it was, it is carried out."""


def append_error(error: LogOverloaded | Fenced | LogUnavailable, saga_id: str) -> Unavailable:
    """What the log says to an append, in the words of whoever asked something of the saga."""
    match error:
        case LogOverloaded():
            return Overloaded(str(error))
        case Fenced():
            return NotShardOwner(saga_id)
        case LogUnavailable():
            return OutcomeUnknown(str(error))
