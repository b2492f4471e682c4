"""The shards that this node drives, with the epoch under which it claimed each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from ....eventstore import shard_of


class DrivenShards:
    """The shards that are driven here, and those of them that are draining or fenced.

    A draining shard starts nothing new: its calls in flight end, then another node takes it over. A
    fenced shard has been claimed by another process: nothing can be appended to it any more.
    """

    def __init__(self) -> None:
        self._epochs: dict[int, int] = {}
        self._draining: set[int] = set()
        self._fenced: set[int] = set()

    def acquire(self, epochs: Mapping[int, int]) -> None:
        """Drive the shards of `epochs` from now on."""
        self._epochs.update(epochs)

    def drain(self, shard_ids: Iterable[int]) -> None:
        """Start nothing new in these shards."""
        self._draining.update(shard_ids)

    def mark_fenced(self, shard_id: int) -> None:
        """Record that another process has claimed the shard."""
        self._fenced.add(shard_id)

    def drop(self, shard_ids: Set[int]) -> None:
        """Forget these shards: another node drives them, or will."""
        for shard_id in shard_ids:
            self._epochs.pop(shard_id, None)
        self._draining -= shard_ids
        self._fenced -= shard_ids

    def epoch_of(self, shard_id: int) -> int:
        """Return the epoch of a driven shard. Raises KeyError if it is not driven here."""
        return self._epochs[shard_id]

    def __contains__(self, shard_id: int) -> bool:
        return shard_id in self._epochs

    def __iter__(self) -> Iterator[int]:
        return iter(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs)

    def drives(self, saga_id: str) -> bool:
        """True if the shard of the saga is driven here and not draining.

        Raises InvalidStreamId.
        """
        shard_id = shard_of(saga_id)
        return shard_id in self._epochs and shard_id not in self._draining

    def is_draining(self, shard_id: int) -> bool:
        return shard_id in self._draining

    def accepts_starts(self, shard_id: int) -> bool:
        """True if a new saga may be put into the shard."""
        is_left = shard_id in self._draining or shard_id in self._fenced
        return shard_id in self._epochs and not is_left

    def overtaken(self, epochs: Mapping[int, int]) -> set[int]:
        """Return the shards that have a newer epoch in `epochs` than here."""
        return {
            shard_id for shard_id, epoch in self._epochs.items() if epochs.get(shard_id, 0) > epoch
        }

    @property
    def draining(self) -> frozenset[int]:
        return frozenset(self._draining)

    @property
    def fenced(self) -> frozenset[int]:
        return frozenset(self._fenced)

    @property
    def in_service(self) -> list[int]:
        """The driven shards that are not draining."""
        return [shard_id for shard_id in self._epochs if shard_id not in self._draining]
