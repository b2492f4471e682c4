"""What came of one call to a participant, before anybody has judged it.

The difference between `NotSent` and `Lost` carries money: after `NotSent` the participant cannot
have acted, after `Lost` it may have. Whoever is in doubt says `Lost`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct


class Reply(Struct, frozen=True):
    """A complete reply. With `too_large` the status holds, but `body` is only its beginning.

    `unreadable` says why its body could not be decoded to UTF-8; then `body` is empty.
    """

    status: int
    headers: Mapping[str, str]  # names in lower case; repeated ones joined with ", "
    body: bytes
    too_large: bool = False
    unreadable: str = ""


class NotSent(Struct, frozen=True):
    """Certainly no byte of the request left.

    Without `had_turn` it only waited here, behind others or because no URL is known, which says
    nothing of the participant.
    """

    reason: str
    had_turn: bool = True


class Lost(Struct, frozen=True):
    """A byte of the request may have left and no complete reply came back."""

    reason: str


Answer: TypeAlias = Reply | NotSent | Lost
