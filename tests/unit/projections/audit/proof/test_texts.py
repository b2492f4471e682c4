"""Checkpoints and receipts as texts: published ones, every one of ours, and malformed ones."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.projections.audit.proof.checkpoint import Checkpoint, InvalidCheckpoint
from saga_orchestrator.projections.audit.proof.inclusion_receipt import (
    InclusionReceipt,
    InvalidReceipt,
)

# The example of the specification.
PUBLISHED: Final = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""
NOTE: Final = f"{PUBLISHED}\n— example.com/behind-the-sofa Az3grlgtzPI=\n"
HASH: Final = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
HASHES: Final = st.binary(min_size=32, max_size=32)


def test_published_checkpoint_is_read_and_written() -> None:
    checkpoint = Checkpoint.parse(PUBLISHED)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert str(checkpoint) == PUBLISHED


@given(st.integers(0, 2**62), HASHES)
def test_checkpoint_is_read_as_it_was_written(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("example.org/sagas", size, root)

    assert Checkpoint.parse(str(checkpoint)) == checkpoint
    assert Checkpoint.parse(f"{checkpoint}an extension\n") == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        f"\n1\n{HASH}\n",
        f"a\n01\n{HASH}\n",
        f"a\n-1\n{HASH}\n",
        f"a\n1\n{HASH[:-4]}\n",
    ],
)
def test_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidCheckpoint):
        Checkpoint.parse(text)


@given(
    st.integers(0, 2**62),
    st.lists(HASHES, max_size=30).map(tuple),
    st.one_of(st.none(), st.binary(min_size=1)),
)
def test_receipt_is_read_as_it_was_written(
    index: int, proof: tuple[bytes, ...], extra: bytes | None
) -> None:
    receipt = InclusionReceipt(index, proof, NOTE, extra)

    assert InclusionReceipt.parse(str(receipt)) == receipt


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"c2sp.org/tlog-proof@v2\nindex 1\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex 01\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-4]}\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nextra *\nindex 1\n\n{NOTE}",
        "c2sp.org/tlog-proof@v1\nindex 1\n",
    ],
)
def test_malformed_receipt_is_refused(text: str) -> None:
    with pytest.raises(InvalidReceipt):
        InclusionReceipt.parse(text)
