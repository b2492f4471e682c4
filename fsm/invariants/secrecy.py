"""I15: what nobody may read is in no event."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from ..secrecy import is_exposed
from .violation import Flaw


def secrets_are_kept(
    payloads: Iterable[tuple[int, bytes]], secrets: Collection[bytes]
) -> Iterator[Flaw]:
    """`payloads` with their versions; `secrets` in every form in which they could stand there."""
    for version, payload in payloads:
        if is_exposed(payload, secrets):
            yield Flaw(version, "a secret stands in it")
