"""Where a name leads, and whether a connection may go there.

A name is resolved once, and what is connected to is an address that was looked at: a check of the
name alone would leave it to its owner to answer differently when the connection is made.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TypeAlias

from .base_url import Origin

MayReach: TypeAlias = Callable[[Origin, str], bool]  # the address is that of the origin's host


async def addresses(origin: Origin, may_reach: MayReach) -> list[str]:
    """In the order of the resolver, one at least. Raises OSError, UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        origin.host, origin.port, type=socket.SOCK_STREAM
    )
    allowed = [
        address
        for address in dict.fromkeys(str(where[0]) for *_, where in found)
        if may_reach(origin, address)
    ]
    if not allowed:
        raise PermissionError("it leads to where it must not")
    return allowed
