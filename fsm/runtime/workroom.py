"""A thread beside the event loop for work that would hold the loop up.

Reading and verifying a definition of 200 KB takes more than half a second. One piece is worked on
at a time, so that however many come, half the processor is left for sagas.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

QUICK: Final = 8 * 1024  # bytes of a document that is worked on in the loop, in some milliseconds

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Workroom:
    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(
        self,
        size: int,
        function: Callable[Given, Result],
        *given: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        """Return what `function` returns for a document of `size` bytes. Raises what it raises."""
        if size <= QUICK:
            return function(*given, **named)
        async with self._turn:
            return await asyncio.to_thread(function, *given, **named)
