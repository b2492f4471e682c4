"""Errors of the runtime.

OrchestratorError
├── SagaNotFound            no saga has that id
├── VersionConflict         the saga is not at the expected version
├── VersionNotReached       the saga has no such version, or has not reached it
├── DefinitionNotFound      no definition has that name, or that version
├── DefinitionExists        the version exists with other content
├── BulkJobNotFound         no bulk job has that id, or it finished long ago
├── IdempotencyKeyReused    the key was used with another body
└── Unavailable             the service is stopping, or the log cannot be written now
    ├── Overloaded          too many appends are waiting; nothing was recorded
    ├── NotShardOwner       another node drives the saga; nothing was recorded
    └── OutcomeUnknown      the log did not confirm; the request may be recorded
"""

from __future__ import annotations

from ...eventstore import Fenced, LogOverloaded, LogUnavailable


class OrchestratorError(Exception):
    """Base class of the runtime's errors."""


class SagaNotFound(OrchestratorError):
    def __init__(self, saga_id: str) -> None:
        super().__init__(f"there is no saga {saga_id[:80]}")
        self.saga_id = saga_id


class VersionConflict(OrchestratorError):
    def __init__(self, saga_id: str, version: int) -> None:
        super().__init__(f"saga {saga_id} is at version {version} now")
        self.saga_id, self.version = saga_id, version


class VersionNotReached(OrchestratorError):
    def __init__(self, saga_id: str, detail: str) -> None:
        super().__init__(f"saga {saga_id} {detail}")
        self.saga_id = saga_id


class DefinitionNotFound(OrchestratorError):
    def __init__(self, name: str, version: int | None = None) -> None:
        subject = f"{name} version {version}" if version is not None else name
        super().__init__(f"there is no definition {subject}")
        self.name, self.version = name, version


class DefinitionExists(OrchestratorError):
    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"{name} version {version} exists with another content; versions never change,"
            " register the next one"
        )
        self.name, self.version = name, version


class BulkJobNotFound(OrchestratorError):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no bulk job {job_id[:80]}")
        self.job_id = job_id


class IdempotencyKeyReused(OrchestratorError):
    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used to start something else")
        self.key = key


class Unavailable(OrchestratorError):
    """The service is stopping, or the log cannot be written now. Safe to repeat with a key."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Overloaded(Unavailable):
    """Nothing was recorded; a repetition may succeed a moment later."""


class NotShardOwner(Unavailable):
    def __init__(self, saga_id: str) -> None:
        super().__init__(f"saga {saga_id} is driven by another node")
        self.saga_id = saga_id


class OutcomeUnknown(Unavailable):
    """The request may or may not have been recorded. If it was, it is carried out."""


def append_error(error: LogOverloaded | Fenced | LogUnavailable, saga_id: str) -> Unavailable:
    """Return the runtime's error for a failed append to the saga."""
    match error:
        case LogOverloaded():
            return Overloaded(str(error))
        case Fenced():
            return NotShardOwner(saga_id)
        case LogUnavailable():
            return OutcomeUnknown(str(error))
