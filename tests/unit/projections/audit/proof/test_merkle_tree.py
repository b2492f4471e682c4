"""The Merkle tree against the definitions of RFC 6962, written out as they stand there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.projections.audit.proof.merkle_tree import (
    EMPTY_ROOT,
    InvalidProof,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    root_by_inclusion,
    verify_consistency,
)

# The leaves and roots with which implementations of Certificate Transparency are tested.
PUBLIC_LEAVES: Final = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
PUBLIC_ROOTS: Final = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
HASHES: Final = [leaf_hash(b"%d" % index) for index in range(130)]
SIZES: Final = st.integers(1, len(HASHES))


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """Return MTH(D[n]) of hashes of leaves."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = largest_power_below(len(leaves))
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def defined_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if index < split:
        return [*defined_path(index, leaves[:split]), defined_root(leaves[split:])]
    return [*defined_path(index - split, leaves[split:]), defined_root(leaves[:split])]


def defined_consistency(first: int, leaves: Sequence[bytes], is_whole: bool) -> list[bytes]:
    """Return SUBPROOF(m, D[n], b)."""
    if first == len(leaves):
        return [] if is_whole else [defined_root(leaves)]
    split = largest_power_below(len(leaves))
    if first <= split:
        return [
            *defined_consistency(first, leaves[:split], is_whole),
            defined_root(leaves[split:]),
        ]
    return [
        *defined_consistency(first - split, leaves[split:], False),
        defined_root(leaves[:split]),
    ]


def largest_power_below(number: int) -> int:
    power = 1
    while 2 * power < number:
        power *= 2
    return power


def nodes_of(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    return lambda level, index: defined_root(leaves[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", PUBLIC_ROOTS)
def test_root_is_the_published_one(size: int) -> None:
    leaves = [leaf_hash(data) for data in PUBLIC_LEAVES]

    assert root(size, nodes_of(leaves)).hex() == PUBLIC_ROOTS[size]


@given(st.data(), SIZES)
def test_proof_of_inclusion_is_the_defined_one_and_leads_to_the_root(
    data: st.DataObject, size: int
) -> None:
    index = data.draw(st.integers(0, size - 1))

    proof = inclusion_proof(index, size, nodes_of(HASHES))

    assert proof == defined_path(index, HASHES[:size])
    assert root_by_inclusion(HASHES[index], index, size, proof) == defined_root(HASHES[:size])


@given(st.data(), SIZES)
def test_proof_of_inclusion_leads_elsewhere_once_anything_is_changed(
    data: st.DataObject, size: int
) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, nodes_of(HASHES))
    claim = [HASHES[index], index, size, proof]
    part = data.draw(st.sampled_from(["leaf", "index", "hash", "shorter", "longer"]))
    if part == "leaf":
        claim[0] = leaf_hash(b"another")
    elif part == "index" and size > 1:
        claim[1] = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    elif part == "hash" and proof:
        changed = data.draw(st.integers(0, len(proof) - 1))
        claim[3] = [*proof[:changed], leaf_hash(b"another"), *proof[changed + 1 :]]
    elif part == "shorter" and proof:
        claim[3] = proof[:-1]
    elif part == "longer":
        claim[3] = [*proof, leaf_hash(b"another")]
    else:
        return

    try:
        computed = root_by_inclusion(*claim)  # type: ignore[arg-type]
    except InvalidProof:
        return
    assert computed != defined_root(HASHES[:size])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_index_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_proof(index, size, nodes_of(HASHES))
    with pytest.raises(InvalidProof, match="has no leaf"):
        root_by_inclusion(HASHES[0], index, size, [])


@given(st.data(), SIZES)
def test_proof_of_consistency_is_the_defined_one_and_is_accepted(
    data: st.DataObject, second: int
) -> None:
    first = data.draw(st.integers(0, second))
    roots = defined_root(HASHES[:first]), defined_root(HASHES[:second])

    proof = consistency_proof(first, second, nodes_of(HASHES))

    assert proof == (defined_consistency(first, HASHES[:second], True) if first else [])
    verify_consistency(first, roots[0], second, roots[1], proof)


@given(st.data(), SIZES)
def test_tree_whose_beginning_was_changed_is_refused(data: st.DataObject, second: int) -> None:
    first = data.draw(st.integers(1, second))
    altered = [*HASHES]
    altered[data.draw(st.integers(0, first - 1))] = leaf_hash(b"another")
    proof = consistency_proof(first, second, nodes_of(altered))

    with pytest.raises(InvalidProof):
        verify_consistency(
            first,
            defined_root(HASHES[:first]),
            second,
            defined_root(altered[:second]),
            proof,
        )


@given(st.data(), SIZES)
def test_proof_of_consistency_with_a_hash_too_few_or_too_many_is_refused(
    data: st.DataObject, second: int
) -> None:
    first = data.draw(st.integers(0, second))
    roots = defined_root(HASHES[:first]), defined_root(HASHES[:second])
    proof = consistency_proof(first, second, nodes_of(HASHES))

    with pytest.raises(InvalidProof):
        verify_consistency(first, roots[0], second, roots[1], [*proof, HASHES[0]])
    if proof:
        with pytest.raises(InvalidProof):
            verify_consistency(first, roots[0], second, roots[1], proof[1:])


def test_tree_does_not_shrink() -> None:
    with pytest.raises(ValueError, match="does not begin with"):
        consistency_proof(3, 2, nodes_of(HASHES))
    with pytest.raises(InvalidProof, match="does not begin with"):
        verify_consistency(3, HASHES[0], 2, HASHES[0], [])
