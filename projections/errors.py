"""Errors of the read models.

ProjectionUnavailable    the database does not answer at the moment
InvalidCursor            the text is not a cursor that this service has issued
CheckpointConflict       another node has moved the checkpoint of a shard
"""

from __future__ import annotations


class ProjectionUnavailable(Exception):
    """The database does not answer at the moment. Reading changes nothing: repeat the request."""


class InvalidCursor(ValueError):
    """The text is not a cursor that this service has issued."""

    def __init__(self) -> None:
        super().__init__("it is not a cursor of this service")


class CheckpointConflict(Exception):
    """Another node has moved the checkpoint of a shard; nothing was written."""
