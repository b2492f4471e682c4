"""A tree in tiles is the same tree, however it has grown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.projections.audit.proof.merkle_tree import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    root_by_inclusion,
    verify_consistency,
)
from saga_orchestrator.projections.audit.proof.tiles import (
    HASH_BYTES,
    WIDTH,
    TiledTree,
    TileId,
    node_of,
    tiles_needed,
)

LEAVES: Final = [leaf_hash(b"%d" % index) for index in range(WIDTH * WIDTH + 3 * WIDTH)]
BATCHES: Final = st.lists(
    st.sampled_from([0, 1, 2, WIDTH - 1, WIDTH, WIDTH + 1, 1000, 20_000]), min_size=1, max_size=8
)


def plain_root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


def grown(batches: Sequence[int]) -> tuple[TiledTree, dict[TileId, bytes]]:
    """Return a tree that was extended by these numbers of leaves, and its tiles."""
    tree, tiles = TiledTree(), dict[TileId, bytes]()
    for number in batches:
        tiles |= tree.extend(LEAVES[tree.size : tree.size + number])
    return tree, tiles


@settings(deadline=None, max_examples=30)
@given(BATCHES.filter(any))
def test_tree_has_the_same_root_however_it_has_grown(batches: list[int]) -> None:
    tree, tiles = grown(batches)

    expected = plain_root(LEAVES[: tree.size])
    assert tree.root() == expected
    assert root(tree.size, node_of(tiles)) == expected


@settings(deadline=None, max_examples=30)
@given(BATCHES.filter(any), st.data())
def test_proofs_need_a_few_tiles_only(batches: list[int], data: st.DataObject) -> None:
    tree, tiles = grown(batches)
    index = data.draw(st.integers(0, tree.size - 1))
    first = data.draw(st.integers(1, tree.size))

    needed = tiles_needed(lambda node: inclusion_proof(index, tree.size, node))
    proof = inclusion_proof(index, tree.size, node_of({tile: tiles[tile] for tile in needed}))
    consistency = consistency_proof(first, tree.size, node_of(tiles))

    assert len(needed) <= 6
    assert root_by_inclusion(LEAVES[index], index, tree.size, proof) == tree.root()
    verify_consistency(first, plain_root(LEAVES[:first]), tree.size, tree.root(), consistency)


@settings(deadline=None, max_examples=30)
@given(BATCHES, BATCHES)
def test_tree_goes_on_from_its_last_tiles(before: list[int], after: list[int]) -> None:
    tree, tiles = grown(before)
    edge = [
        hashes_of(tiles.get(TileId(level, tree.size >> (8 * (level + 1))), b""))
        for level in range(3)
    ]
    reopened = TiledTree(tree.size, edge)

    for number in after:
        more = LEAVES[tree.size : tree.size + number]
        assert reopened.extend(more) == tree.extend(more)

    assert (reopened.size, reopened.root()) == (tree.size, tree.root())


def hashes_of(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
