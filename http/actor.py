"""Who asks, as the `Saga-Actor` header claims; the event keeps it.

The service knows nobody: what it is told here is worth as much as the proxy in front of it, which
must set the header and take away what clients bring themselves.
"""

from __future__ import annotations

from typing import Final

from .errors import InvalidActor
from .request import Request

ACTOR: Final = "Saga-Actor"
NAME: Final = ACTOR.lower().encode()
LONGEST_ACTOR: Final = 200  # characters


def actor_of(request: Request) -> str | None:
    """None without the header. Raises InvalidActor."""
    given = request.headers(NAME)
    if len(given) > 1:
        raise InvalidActor(LONGEST_ACTOR)
    return parse_actor(given[0].encode("latin-1")) if given else None


def parse_actor(header: bytes) -> str:
    """UTF-8, as proxies send names. Raises InvalidActor."""
    try:
        actor = header.strip().decode()
    except UnicodeDecodeError:
        raise InvalidActor(LONGEST_ACTOR) from None
    if not (1 <= len(actor) <= LONGEST_ACTOR and actor.isprintable()):
        raise InvalidActor(LONGEST_ACTOR)
    return actor
