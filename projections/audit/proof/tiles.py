"""A growing Merkle tree in tiles: eight levels of it in one row, as of 256 leaves.

A tile holds the hashes of its lowest level only, for the levels above follow from them:

    tile level 1    hashes of level 8, each the root of a full tile below
    tile level 0    hashes of leaves

Only the last tile of each tile level still grows; the others never change. A proof in a tree of ten
million leaves needs three tiles. The idea is that of Russ Cox's tiles for Go's checksum database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from .merkle_tree import EMPTY_ROOT, Node, node_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
HASH_BYTES: Final = 32

Result = TypeVar("Result")


class TileId(NamedTuple):
    level: int
    number: int  # of its level


class TiledTree:
    """The right edge of a tree: its size, and the hashes of the last tile of each tile level."""

    def __init__(self, size: int = 0, edge: Iterable[Sequence[bytes]] = ()) -> None:
        self.size = size
        self._edge = [[*hashes] for hashes in edge]

    def extend(self, leaves: Sequence[bytes]) -> dict[TileId, bytes]:
        """Add hashes of leaves; return the tiles that have changed, the last of a level maybe not
        full."""
        changed: dict[TileId, bytes] = {}
        level, index, added = 0, self.size >> HEIGHT, [*leaves]
        self.size += len(added)
        while added:
            if level == len(self._edge):
                self._edge.append([])
            hashes = self._edge[level] + added
            added = []
            while len(hashes) >= WIDTH:
                tile, hashes = hashes[:WIDTH], hashes[WIDTH:]
                changed[TileId(level, index)] = b"".join(tile)
                added.append(_root_of_full(tile))
                index += 1
            if hashes:
                changed[TileId(level, index)] = b"".join(hashes)
            self._edge[level] = hashes
            level, index = level + 1, (index - len(added)) >> HEIGHT
        return changed

    def root(self) -> bytes:
        """Return the root of the tree."""
        root: bytes | None = None
        for hashes in self._edge:
            begin, end = len(hashes), len(hashes)
            while end:
                begin = end & (end - 1)  # the smallest full subtree comes first
                left = _root_of_full(hashes[begin:end])
                root = left if root is None else node_hash(left, root)
                end = begin
        return EMPTY_ROOT if root is None else root


def tiles_needed(proof: Callable[[Node], object]) -> set[TileId]:
    """Return the tiles that `proof` reads of a tree, such as a call of `inclusion_proof`."""
    needed: set[TileId] = set()

    def note(level: int, index: int) -> bytes:
        needed.add(_place(level, index)[0])
        return b""

    proof(note)
    return needed


def node_of(tiles: Mapping[TileId, bytes]) -> Node:
    """Return the hashes of full subtrees as a function that reads them from `tiles`."""

    def node(level: int, index: int) -> bytes:
        tile, first, count = _place(level, index)
        raw = tiles[tile][first * HASH_BYTES : (first + count) * HASH_BYTES]
        return _root_of_full([raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)])

    return node


def _place(level: int, index: int) -> tuple[TileId, int, int]:
    """Return the tile of a full subtree, and which of the tile's hashes are those of the subtree:
    the first one, and their number."""
    tile_level, height = divmod(level, HEIGHT)
    tile_index, first = divmod(index << height, WIDTH)
    return TileId(tile_level, tile_index), first, 1 << height


def _root_of_full(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [
            node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]
