"""How far a reader of the whole log has come: a seq for each shard, as one opaque text.

One number for all shards would have to be given in the order of the commits, or it skips what
commits late. A shard has one writer and dense numbers: nothing can appear behind its seq.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from ..eventstore import SHARDS, RecordedEvent

FORMAT = 1  # the first byte; the next form of a cursor gets the next number
BIGGEST_SEQ = 2**63 - 1
MORE = 0x80  # seven bits a byte, the lowest first; this one says that another follows


class InvalidCursor(ValueError):
    def __init__(self) -> None:
        super().__init__("it is not a cursor that was given out here")


@dataclass(frozen=True, slots=True)
class Cursor:
    """`seqs[shard_id]` has been read, and everything before it."""

    seqs: tuple[int, ...] = (0,) * SHARDS

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises InvalidCursor."""
        try:
            first, *rest = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise InvalidCursor from None
        cursor = cls(tuple(_numbers(rest)))
        in_bounds = len(cursor.seqs) == SHARDS and max(cursor.seqs) <= BIGGEST_SEQ
        # Only one text stands for a cursor, so that a damaged one is not taken for another.
        if first != FORMAT or not in_bounds or cursor.encode() != text:
            raise InvalidCursor
        return cursor

    def encode(self) -> str:
        data = bytes([FORMAT, *(byte for seq in self.seqs for byte in _bytes(seq))])
        return urlsafe_b64encode(data).decode().rstrip("=")

    def past(self, events: Iterable[RecordedEvent]) -> Cursor:
        """After `events`, those of one shard in order; other shards stay where they are."""
        last = {one.shard_id: one.seq for one in events}
        return Cursor(tuple(last.get(shard_id, seq) for shard_id, seq in enumerate(self.seqs)))

    def advanced(self, by: int, ends: Cursor) -> Cursor:
        """By as many events in each shard, but not beyond its end."""
        return Cursor(
            tuple(
                max(seq, min(seq + by, end)) for seq, end in zip(self.seqs, ends.seqs, strict=True)
            )
        )


def _bytes(number: int) -> Iterator[int]:
    while number >= MORE:
        yield number % MORE + MORE
        number //= MORE
    yield number


def _numbers(data: Sequence[int]) -> Iterator[int]:
    number, shift = 0, 0
    for byte in data:
        number += byte % MORE << shift
        shift += 7
        if byte < MORE:
            yield number
            number, shift = 0, 0
