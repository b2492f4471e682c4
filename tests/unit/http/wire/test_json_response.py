"""Pages end at a number of bytes, whatever is on them."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.fsm.formats.strict_json import JsonObject
from saga_orchestrator.http.wire.json_response import MAX_PAGE_BYTES, RESERVED_BYTES, JsonPage
from saga_orchestrator.projections.feed import MAX_SEQ, FeedCursor

SIZES = st.integers(0, 1000) | st.sampled_from(
    [100_000, 1_000_000, MAX_PAGE_BYTES, 2 * MAX_PAGE_BYTES]
)


@settings(deadline=None, max_examples=50)
@given(st.lists(SIZES, max_size=30))
async def test_a_page_ends_at_four_megabytes_and_has_one_entry_at_least(sizes: list[int]) -> None:
    views: list[JsonObject] = [
        {"n": number, "text": "x" * size} for number, size in enumerate(sizes)
    ]
    entries = JsonPage()
    taken = 0
    for view in views:
        if not await entries.add(view):
            break
        taken += 1

    body = bytes(entries.to_response("all", {"next": "y" * 1000}, {}).body)

    assert json.loads(body) == {"all": views[:taken], "next": "y" * 1000}
    assert len(entries) == taken
    assert taken >= min(1, len(views))
    if taken > 1:
        assert len(body) <= MAX_PAGE_BYTES
    if taken < len(views):
        longer = len(body) + len(json.dumps(views[taken], separators=(",", ":")))
        assert longer > MAX_PAGE_BYTES - RESERVED_BYTES


def test_the_longest_cursor_has_room_beside_the_entries() -> None:
    assert len(FeedCursor((MAX_SEQ,) * SHARD_COUNT).encode()) < RESERVED_BYTES / 2


@pytest.mark.parametrize("beside", [{}, {"next": None}])
async def test_a_page_may_be_empty(beside: dict[str, None]) -> None:
    assert json.loads(bytes(JsonPage().to_response("all", beside, {}).body)) == {
        "all": [],
        **beside,
    }


async def test_other_tasks_run_while_a_page_is_written() -> None:
    turns, entries = 0, JsonPage()

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    working = asyncio.ensure_future(others())
    while await entries.add({"text": "x" * 100_000}):
        pass
    working.cancel()

    assert turns >= 10
