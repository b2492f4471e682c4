"""Where a page of a list ends: the key of its last saga, which the next page begins behind.

A list follows the saga id, which begins with the time of the start; the queue of the parked
follows the time since when each is parked, and the id among equals. Both keys are given out whole:
a page can be asked for although its saga has been started, unparked or ended long ago.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from ..fsm.codec import format_time
from .cursor import InvalidCursor

TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
SAGA_ID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PLACE: Final = rf"^(?:({TIME})_)?({SAGA_ID})$"


@dataclass(frozen=True, slots=True)
class Place:
    """`parked_at` only in the queue."""

    saga_id: str
    parked_at: datetime | None = None

    @classmethod
    def decode(cls, text: str, *, in_queue: bool) -> Self:
        """Raises InvalidCursor, for one of the other order too."""
        parts = re.fullmatch(PLACE, text)
        if parts is None or (parts[1] is not None) is not in_queue:
            raise InvalidCursor
        try:
            return cls(parts[2], datetime.fromisoformat(parts[1]) if in_queue else None)
        except ValueError:
            raise InvalidCursor from None

    def encode(self) -> str:
        if self.parked_at is None:
            return self.saga_id
        return f"{format_time(self.parked_at)}_{self.saga_id}"
