"""As `asyncio.timeout`, for many tasks that all have equally long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import TracebackType

from .shared_alarm import SharedAlarm


class Within:
    """Of the running event loop. A block raises TimeoutError if it takes longer than `limit`.

    One task is in one block at a time.
    """

    def __init__(self, limit: timedelta) -> None:
        self._loop = asyncio.get_running_loop()
        self._alarm = SharedAlarm(limit.total_seconds())

    def __enter__(self) -> None:
        task = self._task()
        self._alarm.set(task, task.cancel)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task = self._task()
        if self._alarm.clear(task):
            return
        # Somebody else may have cancelled it as well, and wants no timeout to come of it.
        if task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _task(self) -> asyncio.Task[object]:
        task: asyncio.Task[object] | None = asyncio.current_task(self._loop)
        assert task is not None, "only a task can be told that its time is over"
        return task
