"""A coroutine that is begun before it is awaited.

What needs no waiting is there at once, and its caller saves what only those who wait need, like a
timeout: arming one and taking it back costs more than to read the body of a usual request.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Begun(Generic[Result]):
    """Runs up to the first wait when it is made. To be awaited once, by the task that made it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Result]) -> None:
        self._coroutine = coroutine
        self._awaited: Any = None
        self._results: list[Result] = []
        self._go_on()

    @property
    def is_done(self) -> bool:
        return bool(self._results)

    def __await__(self) -> Generator[Any, Any, Result]:
        while not self._results:
            try:
                yield self._awaited
            except BaseException as error:  # noqa: BLE001 - it is for the coroutine to catch
                self._go_on(error)
            else:
                self._go_on()
        return self._results[0]

    def _go_on(self, error: BaseException | None = None) -> None:
        try:
            if error is None:
                self._awaited = self._coroutine.send(None)
            else:
                self._awaited = self._coroutine.throw(error)
        except StopIteration as end:
            self._results.append(end.value)
