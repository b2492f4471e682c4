from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from saga_orchestrator.fsm.runtime.tasks import Tasks


async def test_a_request_that_fails_when_nobody_waits_for_it_any_more_is_no_news() -> None:
    complaints: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: complaints.append(facts))
    tasks, go_on = Tasks(), asyncio.Event()

    async def fail() -> None:
        await go_on.wait()
        raise ValueError("too late")

    asker = asyncio.create_task(tasks.request(1, fail()))
    await asyncio.sleep(0)
    asker.cancel()
    with suppress(asyncio.CancelledError):
        await asker
    go_on.set()
    await tasks.settled([1])
    gc.collect()

    assert complaints == []
