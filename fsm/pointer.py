"""RFC 6901: places in JSON as clients are told them."""

from __future__ import annotations

from collections.abc import Sequence


def pointer(place: Sequence[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)
