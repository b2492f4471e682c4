"""Checkpoints (c2sp.org/tlog-checkpoint): size and root of a tree, as the text of a note."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Final, Self

HASH_BYTES: Final = 32
SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class InvalidCheckpoint(Exception):
    """A text that is no checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The root of the tree with `size` leaves; `origin` names the tree."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidCheckpoint. Lines behind the third one are passed over."""
        origin, size, root, *_ = [*text.split("\n"), "", "", ""]
        try:
            raw = b64decode(root, validate=True)
        except ValueError:
            raw = b""
        if not origin or not SIZE.fullmatch(size) or len(raw) != HASH_BYTES:
            raise InvalidCheckpoint("a checkpoint has lines with an origin, a size and a root")
        return cls(origin, int(size), raw)
