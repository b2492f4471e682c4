"""What came of sending one request to a participant, before anybody has judged it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` have lower-case names; of a body that is `too_large` nothing is kept."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """No reply, but at least one byte of the request left: it may have taken effect."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly no byte of the request left."""

    reason: str


Answer: TypeAlias = Reply | Lost | NotSent
