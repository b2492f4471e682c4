"""The Merkle tree of RFC 6962, section 2.1: roots, and proofs of inclusion and of consistency.

Leaves are only ever added. So a subtree with all of its leaves never changes again; it is named by
its level and its index there, and the tree of any size is made of such full subtrees:

    level 2          (2, 0)                  Five leaves: the full subtrees (2, 0) and (0, 4).
    level 1     (1, 0)      (1, 1)
    level 0   (0,0) (0,1) (0,2) (0,3) (0,4)

Functions take the hashes of full subtrees as `node(level, index)`. Hashes are those of SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

Node: TypeAlias = Callable[[int, int], bytes]

EMPTY_ROOT: Final = sha256().digest()


class InvalidProof(Exception):
    """A proof that does not prove what it is given for."""


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def full_subtrees(begin: int, end: int) -> list[tuple[int, int]]:
    """Return level and index of the full subtrees that make up the leaves from `begin` to `end`.

    `begin` is a multiple of a power of two that is at least `end - begin`, or the largest below.
    """
    subtrees = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        subtrees.append((level, begin >> level))
        begin += 1 << level
    return subtrees


def subtree_root(begin: int, end: int, node: Node) -> bytes:
    """Return the root of the leaves from `begin` to `end`, as `full_subtrees` divides them."""
    if begin == end:
        return EMPTY_ROOT
    *left, root = [node(level, index) for level, index in full_subtrees(begin, end)]
    for hash_ in reversed(left):
        root = node_hash(hash_, root)
    return root


def root(size: int, node: Node) -> bytes:
    """Return the root of the tree with `size` leaves."""
    return subtree_root(0, size, node)


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that a tree of `size` leaves has its leaf at `index`: the siblings on the
    way from the leaf to the root."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    siblings = [
        subtree_root(split, end, node) if is_left else subtree_root(begin, split, node)
        for begin, split, end, is_left in _way_to(index, size)
    ]
    return siblings[::-1]


def root_by_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that the proof gives a tree with the hash `leaf` at `index`.

    Raises InvalidProof if no tree of that size can have it.
    """
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} leaves has no leaf {index}")
    way = [is_left for _, _, _, is_left in _way_to(index, size)]
    if len(way) != len(proof):
        raise InvalidProof(f"the proof has {len(proof)} hashes; {len(way)} are needed")
    hash_ = leaf
    for is_left, sibling in zip(reversed(way), proof, strict=True):
        hash_ = node_hash(hash_, sibling) if is_left else node_hash(sibling, hash_)
    return hash_


def consistency_proof(first: int, second: int, node: Node) -> list[bytes]:
    """Return the proof that the tree of `second` leaves begins with the tree of `first` leaves."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves does not begin with {first} leaves")
    if first in (0, second):
        return []
    way = [*_way_to_boundary(first, second)]
    hashes = [
        subtree_root(split, end, node) if is_left else subtree_root(begin, split, node)
        for begin, split, end, is_left in way
    ]
    if begin := _begin_of_common(way):
        hashes.append(subtree_root(begin, first, node))
    return hashes[::-1]


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise InvalidProof unless the proof shows that the second tree begins with the first one."""
    if not 0 <= first <= second:
        raise InvalidProof(f"a tree of {second} leaves does not begin with {first} leaves")
    if first in (0, second):
        known = EMPTY_ROOT if first == 0 else second_root
        if proof or first_root != known:
            raise InvalidProof("the roots of the trees do not agree")
        return
    way = [*_way_to_boundary(first, second)]
    hashes = [*proof] if _begin_of_common(way) else [first_root, *proof]
    if len(hashes) != len(way) + 1:
        raise InvalidProof(f"the proof has {len(proof)} hashes; another number is needed")
    old = new = hashes[0]
    for (_, _, _, is_left), sibling in zip(reversed(way), hashes[1:], strict=True):
        if is_left:
            new = node_hash(new, sibling)
        else:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
    if (old, new) != (first_root, second_root):
        raise InvalidProof("the second tree does not begin with the first one")


def _way_to(index: int, size: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yield the subtrees from the root to a leaf: where they begin, split and end, and whether the
    leaf is in the left part."""
    begin, end = 0, size
    while end - begin > 1:
        split = begin + _split(end - begin)
        is_left = index < split
        yield begin, split, end, is_left
        begin, end = (begin, split) if is_left else (split, end)


def _way_to_boundary(first: int, second: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yield the subtrees from the root to the one that ends where the first tree ends."""
    for begin, split, end, is_left in _way_to(first - 1, second):
        if end == first:
            return
        yield begin, split, end, is_left


def _begin_of_common(way: Sequence[tuple[int, int, int, bool]]) -> int:
    """Return where the subtree begins that both trees have and that ends the first of them.

    0 means that it is the first tree, whose root every verifier has.
    """
    begin, split, _, is_left = way[-1]
    return begin if is_left else split


def _split(leaves: int) -> int:
    """Return the largest power of two below the number of leaves."""
    return 1 << ((leaves - 1).bit_length() - 1)
