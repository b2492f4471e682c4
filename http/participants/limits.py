"""How much and how long: every bound of the way out, with the reason for its number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may wait before its first byte leaves; its own deadline holds besides."""

    # A participant that is up accepts within a round trip; a lost SYN is sent again after 1 s.
    connect: timedelta = timedelta(seconds=3)
    slot: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    # Enough to keep a participant with 100 ms an answer at a thousand calls a second.
    connections_per_origin: int = 100
    patience: Patience = Patience()
    # For httpx requests that bring no timeout of their own.
    call_timeout: timedelta = timedelta(seconds=10)
    # uvicorn and Node drop an idle connection after 5 s; ours must be gone before.
    keep_alive: timedelta = timedelta(seconds=4)
    # Names of services lead elsewhere within about a minute after a change (their usual TTL).
    max_age: timedelta = timedelta(seconds=60)
    max_body_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        assert self.connections_per_origin > 0
        assert self.max_body_bytes > 0
