"""Whether a connection may go where a name leads.

A name is resolved once, and what is connected to is an address that was looked at: a check of the
name alone would leave it to its owner to answer differently when the connection is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from aiohappyeyeballs import AddrInfoType

from .base_url import Origin

MayReach: TypeAlias = Callable[[Origin, str], bool]  # the address is that of the origin's host


def reachable(
    found: Sequence[AddrInfoType], origin: Origin, may_reach: MayReach
) -> Sequence[AddrInfoType]:
    """Those of `found` that may be connected to, one at least. Raises PermissionError."""
    allowed = [one for one in found if may_reach(origin, str(one[4][0]))]
    if not allowed:
        raise PermissionError("it leads to where it must not")
    return allowed
