"""How far a shard has been seen without a gap.

Appends are seen in the order in which their callers are told of them, which is nearly that of the
log. What lies beyond a gap waits until the gap has been filled.
"""

from __future__ import annotations


class Frontier:
    def __init__(self, seq: int) -> None:
        self.seq = seq
        self._beyond: dict[int, int] = {}

    def add(self, first: int, last: int) -> None:
        """The events from `first` to `last` have been seen. Seeing them again changes nothing."""
        if first == self.seq + 1 and not self._beyond:  # as nearly always
            self.seq = last
            return
        if first > self.seq:
            self._beyond[first] = last
        self._absorb()

    def reach(self, seq: int) -> None:
        """Everything up to `seq` has been seen, by reading it."""
        if seq > self.seq:
            self.seq = seq
            self._beyond = {first: last for first, last in self._beyond.items() if first > seq}
            self._absorb()

    def _absorb(self) -> None:
        while (last := self._beyond.pop(self.seq + 1, None)) is not None:
            self.seq = last

    @property
    def waiting(self) -> int:
        """How many appends lie beyond a gap."""
        return len(self._beyond)
