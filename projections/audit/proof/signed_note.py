"""Signed notes (c2sp.org/signed-note): a text, and signatures below it.

    example.org/sagas
    3
    rrb85/K0mBwpDyXQKuF7lIDdB8AcYcVpGFTkOl2jjGQ=

    — example.org/sagas 3RYVbUl2…

A key has a name and an id, which stands for its algorithm too. So a note can be signed by several
keys, new and old ones, and by algorithms that a reader does not know: it passes over these.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519: Final = 1  # the type of a signature
KEY_ID_BYTES: Final = 4
MAX_NOTE_BYTES: Final = 1024 * 1024
KEY_NAME: Final = re.compile(r"[^\s+]+")
SIGNATURE_LINE: Final = re.compile("— ([^\\s+]+) ([A-Za-z0-9+/]+=*)")
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


class InvalidNote(Exception):
    """A note that is malformed, or that no known key has signed as it is."""


class Signer(Protocol):
    """A key that signs texts."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def sign(self, text: bytes) -> bytes: ...


class Verifier(Protocol):
    """A key that verifies signatures of texts."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def verify(self, text: bytes, signature: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note whose signatures have not been verified. `text` ends with a newline."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> Self:
        """Raises InvalidNote."""
        if len(note.encode()) > MAX_NOTE_BYTES:
            raise InvalidNote(f"it has more than {MAX_NOTE_BYTES} bytes")
        if CONTROL_CHARACTER.search(note):
            raise InvalidNote("it holds a control character")
        text, separator, below = note.rpartition("\n\n")
        if not separator or not below.endswith("\n"):
            raise InvalidNote("it has no text with signatures below an empty line")
        return cls(text + "\n", tuple(map(_parse_signature, below[:-1].split("\n"))))

    def __str__(self) -> str:
        lines = (
            f"— {each.name} {b64encode(each.key_id + each.signature).decode()}\n"
            for each in self.signatures
        )
        return f"{self.text}\n{''.join(lines)}"

    def verify(self, verifiers: Iterable[Verifier]) -> list[Verifier]:
        """Return the known keys that have signed the text. Raises InvalidNote if none has, or if a
        signature in the name of one of them is not its own."""
        known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
        signers: list[Verifier] = []
        for each in self.signatures:
            verifier = known.get((each.name, each.key_id))
            if verifier is None or verifier in signers:
                continue
            if not verifier.verify(self.text.encode(), each.signature):
                raise InvalidNote(f"the signature of {each.name} is not of this text")
            signers.append(verifier)
        if not signers:
            raise InvalidNote("none of the known keys has signed it")
        return signers


def sign(text: str, signers: Iterable[Signer]) -> Note:
    """Return the note of a text, which ends with a newline and has no control characters."""
    data = text.encode()
    signatures = [Signature(key.name, key.key_id, key.sign(data)) for key in signers]
    return Note(text, tuple(signatures))


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """A private key. `name` is mostly a URL without its scheme: `example.org/sagas`."""

    name: str
    private_key: Ed25519PrivateKey

    @property
    def verifier(self) -> Ed25519Verifier:
        return Ed25519Verifier(self.name, self.private_key.public_key().public_bytes_raw())

    @property
    def key_id(self) -> bytes:
        return self.verifier.key_id

    def sign(self, text: bytes) -> bytes:
        return self.private_key.sign(text)


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """A public key of 32 bytes."""

    name: str
    public_key: bytes

    @classmethod
    def parse(cls, verifier_key: str) -> Self:
        """Read a key as it is written in a note's verifier keys: `name+id+base64 of type and key`.

        Raises ValueError.
        """
        name, _, rest = verifier_key.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = b64decode(encoded, validate=True)
        except ValueError:
            raw = b""
        if not KEY_NAME.fullmatch(name) or len(raw) != 33 or raw[0] != ED25519:
            raise ValueError("a verifier key is written as name+id+key, with an Ed25519 key")
        key = cls(name, raw[1:])
        if key.key_id.hex() != key_id:
            raise ValueError(f"the id of the verifier key should be {key.key_id.hex()}")
        return key

    def __str__(self) -> str:
        encoded = b64encode(bytes([ED25519]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @property
    def key_id(self) -> bytes:
        named = self.name.encode() + b"\n" + bytes([ED25519]) + self.public_key
        return sha256(named).digest()[:KEY_ID_BYTES]

    def verify(self, text: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text)
        except InvalidSignature:
            return False
        return True


def _parse_signature(line: str) -> Signature:
    parts = SIGNATURE_LINE.fullmatch(line)
    try:
        raw = b64decode(parts[2], validate=True) if parts else b""
    except ValueError:
        raw = b""
    if not parts or len(raw) <= KEY_ID_BYTES:
        raise InvalidNote("a line below the text is no signature")
    return Signature(parts[1], raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])
