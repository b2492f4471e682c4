"""Errors of the read models.

ProjectionUnavailable    the database does not answer at the moment
InvalidCursor            the text is not a cursor that this service has issued
CheckpointConflict       another node has moved the checkpoint of a shard"""

from __future__ import annotations


class ProjectionUnavailable(Exception):
    """Ask again: nothing was changed by asking."""


class InvalidCursor(ValueError):
    def __init__(self) -> None:
        super().__init__("it is not a cursor that was given out here")


class CheckpointConflict(Exception):
    """Somebody else has moved the checkpoint."""
