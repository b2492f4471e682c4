"""Where the events of one saga stand: one behind the other, under owners that follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from .history import Entry
from .violation import Flaw


def log_is_whole(entries: Sequence[Entry]) -> Iterator[Flaw]:
    """I9, of one saga. The chain of its shard says the same of what stands in between."""
    if entries[0].version != 1:
        yield Flaw(entries[0].version, "nothing stands before it, and it is not the first")
    for before, after in pairwise(entries):
        if after.version != before.version + 1:
            yield Flaw(after.version, f"it follows version {before.version}")
        if after.seq <= before.seq:
            yield Flaw(after.version, f"seq {after.seq} follows seq {before.seq}")
        if after.epoch < before.epoch:
            yield Flaw(after.version, f"epoch {after.epoch} follows epoch {before.epoch}")
