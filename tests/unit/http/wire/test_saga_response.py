"""Which outputs stand in an answer, and which are given by their size and a link."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.events import Event, SagaCompleted, StepCalled, StepSucceeded
from saga_orchestrator.fsm.formats.strict_json import serialize
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import SAGA_ID, define, given
from saga_orchestrator.http.wire.saga_response import (
    FEW_STEPS,
    MAX_INLINE_OUTPUT_BYTES,
    MAX_INLINE_OUTPUTS_BYTES,
    render_view,
)
from saga_orchestrator.projections.status import start_result_view, status_view

LARGEST_BESIDE = 1000  # bytes of a step beside its output
MEGABYTE = 1024 * 1024
SIZES = st.integers(2, 200) | st.sampled_from(
    [
        MAX_INLINE_OUTPUT_BYTES - 1,
        MAX_INLINE_OUTPUT_BYTES,
        MAX_INLINE_OUTPUT_BYTES + 1,
        3 * MAX_INLINE_OUTPUT_BYTES,
        MEGABYTE,
    ]
)


def an_order(*sizes: int) -> Saga:
    """Completed; each step has said a text that takes so many bytes as JSON."""
    names = [f"s{number}" for number in range(len(sizes))]
    history: list[Event] = []
    for name, size in zip(names, sizes, strict=True):
        history.append(StepCalled(step=name, attempt=1))
        history.append(StepSucceeded(step=name, attempt=1, output="x" * (size - 2)))
    return given(define(*names), history=[*history, SagaCompleted()]).saga


async def status_of(saga: Saga, *, as_of: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await render_view(status_view, saga, as_of=as_of))
    return answer


@settings(deadline=None, max_examples=60)
@for_any(st.lists(SIZES, min_size=1, max_size=40))
async def test_response_is_bounded_whatever_participants_replied(sizes: list[int]) -> None:
    saga = an_order(*sizes)

    status = await status_of(saga)
    answer = json.loads(await render_view(start_result_view, saga))

    together = 0
    for step, size in zip(status["steps"], sizes, strict=True):
        is_linked = size > MAX_INLINE_OUTPUT_BYTES or together >= MAX_INLINE_OUTPUTS_BYTES
        href = f"/sagas/{SAGA_ID}/steps/{step['name']}/output"
        link = {"bytes": size, "href": href} if is_linked else None
        assert step.get("output_link") == link
        assert step["output"] == (None if is_linked else "x" * (size - 2))
        assert answer.get("outputs_by_link", {}).get(step["name"]) == link
        assert (step["name"] in answer["outputs"]) is not is_linked
        together += 0 if is_linked else size
    assert len(answer["outputs"]) + len(answer.get("outputs_by_link", {})) == len(sizes)
    most = MAX_INLINE_OUTPUTS_BYTES + MAX_INLINE_OUTPUT_BYTES + LARGEST_BESIDE * (len(sizes) + 1)
    assert len(json.dumps(status)) <= most
    assert len(json.dumps(answer)) <= most


@pytest.mark.parametrize("steps", [1, FEW_STEPS, FEW_STEPS + 1, 20])
async def test_small_outputs_are_embedded(steps: int) -> None:
    saga = an_order(*[20] * steps)

    assert await render_view(status_view, saga) == serialize(status_view(saga))
    assert await render_view(start_result_view, saga) == serialize(start_result_view(saga))
    assert b"link" not in await render_view(start_result_view, saga)


async def test_a_status_of_the_past_links_to_the_past() -> None:
    saga = an_order(MEGABYTE)

    (step,) = (await status_of(saga, as_of=True))["steps"]

    version = saga.state.version
    assert step["output_link"]["href"] == f"/sagas/{SAGA_ID}/steps/s0/output?at_version={version}"


async def test_other_tasks_run_while_a_large_response_is_rendered() -> None:
    saga, turns = an_order(*[MEGABYTE] * 20), 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    working = asyncio.ensure_future(others())
    await render_view(status_view, saga)
    working.cancel()

    assert turns >= 15
