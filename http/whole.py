"""An ASGI extension: a body that has arrived is asked for, and an answer given, as a whole.

ASGI has both come piece by piece, each piece a message, a coroutine and a turn of whoever waits.
Nearly every body is there before the application begins, and every answer when it ends. A server
that knows no such extension is spoken to as ASGI says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from starlette.responses import Response
from starlette.types import Scope

EXTENSION: Final = "saga.whole"
NONE: Final[Mapping[str, Whole]] = {}


class Whole(Protocol):
    def take_body(self, most: int) -> bytes | None:
        """None if it must be received: not all of it is there, or it has more bytes than `most`.

        To be asked before that, and once.
        """

    def answer(self, response: Response) -> bool:
        """Whether it was; if not, nothing of it was sent, and it must be sent."""


def whole_of(scope: Scope) -> Whole | None:
    extensions: Mapping[str, Whole] = scope.get("extensions") or NONE
    return extensions.get(EXTENSION)
