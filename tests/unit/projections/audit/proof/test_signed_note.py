"""Signed notes: published ones, our own, and forged ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from saga_orchestrator.projections.audit.proof.signed_note import (
    Ed25519Signer,
    Ed25519Verifier,
    InvalidNote,
    Note,
    Signature,
    sign,
)

# The example of Go's implementation of notes.
PUBLISHED_KEY: Final = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE: Final = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""  # noqa: E501
TEXT: Final = "a text\n\nof two parts\n"
SIGNER, OTHER = (
    Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(seed * 32))
    for name, seed in (("example.org/sagas", b"1"), ("example.org/witness", b"2"))
)


def test_published_note_is_verified_by_its_published_key() -> None:
    key = Ed25519Verifier.parse(PUBLISHED_KEY)

    note = Note.parse(PUBLISHED_NOTE)

    assert note.verify([key]) == [key]
    assert (str(note), str(key)) == (PUBLISHED_NOTE, PUBLISHED_KEY)


def test_note_is_verified_by_each_known_key_that_has_signed_it() -> None:
    note = Note.parse(str(sign(TEXT, [SIGNER, OTHER])))

    assert note.text == TEXT
    assert note.verify([OTHER.verifier]) == [OTHER.verifier]
    assert note.verify([SIGNER.verifier, OTHER.verifier]) == [SIGNER.verifier, OTHER.verifier]


def test_signature_of_an_unknown_key_or_algorithm_is_passed_over() -> None:
    note = sign(TEXT, [SIGNER])
    stranger = Signature(SIGNER.name, b"\0\0\0\0", b"of an algorithm to come")
    both = replace(note, signatures=(stranger, *note.signatures))

    assert Note.parse(str(both)).verify([SIGNER.verifier]) == [SIGNER.verifier]


def test_note_that_no_known_key_has_signed_is_refused() -> None:
    with pytest.raises(InvalidNote, match="none of the known keys"):
        sign(TEXT, [SIGNER]).verify([OTHER.verifier])


def test_changed_text_is_refused_though_another_signature_is_right() -> None:
    changed = TEXT.replace("two", "three")
    forged = Note(changed, (*sign(TEXT, [SIGNER]).signatures, *sign(changed, [OTHER]).signatures))

    with pytest.raises(InvalidNote, match="is not of this text"):
        forged.verify([SIGNER.verifier, OTHER.verifier])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "no signatures\n",
        "no newline at the end\n\n— a AAAAAAA=",
        "no dash\n\n- a AAAAAAA=\n",
        "a name with a plus\n\n— a+b AAAAAAA=\n",
        "base 64 that is none\n\n— a AAAAA\n",
        "an id alone\n\n— a AAAAAA==\n",
        "a tab\t\n\n— a AAAAAAA=\n",
        "x" * (1024 * 1024) + "\n\n— a AAAAAAA=\n",
    ],
)
def test_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(InvalidNote):
        Note.parse(note)


@pytest.mark.parametrize(
    "key",
    [
        "",
        PUBLISHED_KEY.replace("c74f20a3", "c74f20a4"),
        PUBLISHED_KEY.replace("+AR", "+BR"),
        PUBLISHED_KEY.replace("PeterNeumann", "a b"),
        PUBLISHED_KEY[:-4],
    ],
)
def test_malformed_verifier_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="verifier key"):
        Ed25519Verifier.parse(key)
