"""Receipts (c2sp.org/tlog-proof): that a signed tree has a leaf, checked without the log."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Final, Self

from .checkpoint import HASH_BYTES

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


class InvalidReceipt(Exception):
    """A text that is no proof of inclusion."""


@dataclass(frozen=True, slots=True)
class InclusionReceipt:
    """The proof that the tree of a checkpoint has its leaf at `index`.

    `checkpoint` is a signed note, verbatim. `extra` is not vouched for by itself.
    """

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __str__(self) -> str:
        lines = [FIRST_LINE]
        if self.extra is not None:
            lines.append(f"extra {b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [b64encode(hash_).decode() for hash_ in self.proof]
        return "\n".join([*lines, "", self.checkpoint])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidReceipt."""
        head, separator, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        if first != FIRST_LINE or not separator:
            raise InvalidReceipt(f"a proof begins with {FIRST_LINE} and ends with a checkpoint")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = _decode(lines.pop(0).removeprefix("extra "))
        index = INDEX.fullmatch(lines.pop(0)) if lines else None
        proof = tuple(map(_decode, lines))
        if index is None or any(len(hash_) != HASH_BYTES for hash_ in proof):
            raise InvalidReceipt("a proof has a line with an index, and lines with hashes")
        return cls(int(index[1]), proof, checkpoint, extra)


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise InvalidReceipt("a line is not in base 64") from None
