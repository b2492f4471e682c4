"""I15: what nobody may read is in no event."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator

from .violation import Flaw

SHORTEST = 8  # bytes; anything shorter stands in events that do not repeat it


def secrets_are_kept(
    payloads: Iterable[tuple[int, bytes]], secrets: Collection[bytes]
) -> Iterator[Flaw]:
    """`payloads` with their versions; `secrets` in every form in which they could stand there."""
    for version, payload in payloads:
        if any(secret in payload for secret in secrets):
            yield Flaw(version, "a secret stands in it")


def forms_of(secrets: Iterable[bytes]) -> frozenset[bytes]:
    """Whole, without a scheme like `Bearer` before it, each as JSON writes it and encoded."""
    parts = {part for secret in secrets for part in (secret, *secret.split())}
    return frozenset(form for one in parts if len(one) >= SHORTEST for form in _forms(one))


def _forms(secret: bytes) -> Iterator[bytes]:
    yield json.dumps(secret.decode(errors="replace"))[1:-1].encode()
    yield json.dumps(secret.decode(errors="replace"), ensure_ascii=False)[1:-1].encode()
    yield secret.hex().encode()
    yield b64encode(secret).rstrip(b"=")
    yield urlsafe_b64encode(secret).rstrip(b"=")
