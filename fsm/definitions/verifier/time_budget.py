"""The deadline against what the steps may take.

The most that a step takes is all its attempts, each until its timeout, with the longest waits in
between. Of attempts without a limit one is counted, and of a child nothing, for nobody knows. The
least is what it sleeps. A saga takes as long as the longest way through its graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeAlias

from ...formats.duration import MAX_DURATION, format_duration
from ..definition import Call, Step
from ..findings import Finding, warning
from ..retry import RetryPolicy
from .context import VerifierContext

ATTEMPTS_TO_CAP = 65  # attempts after which the longest wait grows no more

Seconds: TypeAlias = float


def check_time_budget(order: VerifierContext) -> Iterator[Finding]:
    """Of all steps together."""
    deadline = order.definition.deadline
    if deadline is None or any(
        _spans_over_deadline(step, deadline) for step in order.definition.steps
    ):
        return
    least, most = _longest_path(order, _min_seconds), _longest_path(order, _max_seconds)
    if least >= deadline.total_seconds():
        detail = (
            f"the sleeps alone take {_format_seconds(least)}, so no saga can end within"
            f" {format_duration(deadline)}: set a later deadline"
        )
        yield warning("never-in-time", "/deadline", detail)
    elif most > deadline.total_seconds():
        detail = (
            f"with all attempts and their waits the steps may take {_format_seconds(most)},"
            f" and are given {format_duration(deadline)}: set a later deadline,"
            " or shorter timeouts, or allow fewer attempts"
        )
        yield warning("time-budget", "/deadline", detail)


def check_step_time(order: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    """Of each by itself."""
    deadline = order.definition.deadline
    if deadline is None:
        return
    for place in _spans_over_deadline(step, deadline):
        detail = (
            f"this is longer than the deadline of the saga, {format_duration(deadline)}, which"
            " would come first: shorten it, or set a later deadline"
        )
        yield warning("longer-than-deadline", f"{at}/{place}", detail)


def _spans_over_deadline(step: Step, deadline: timedelta) -> list[str]:
    """Where the step says something that takes longer."""
    spans = {
        "sleep": step.sleep,
        "wait_for/timeout": step.wait_for.timeout if step.wait_for else None,
        "action/timeout": step.action.timeout if step.action else None,
        "completion_timeout": step.completion_timeout if step.completion else None,
    }
    return [place for place, span in spans.items() if span is not None and span > deadline]


def _longest_path(order: VerifierContext, duration: Callable[[Step], Seconds]) -> Seconds:
    """Of all ways through the graph; steps with fewer steps before them come first."""
    ends: dict[str, Seconds] = {}
    for step in sorted(order.definition.steps, key=lambda one: len(order.predecessors[one.name])):
        ends[step.name] = duration(step) + max((ends[one] for one in step.after), default=0.0)
    return max(ends.values())


def _min_seconds(step: Step) -> Seconds:
    return step.sleep.total_seconds() if step.sleep is not None and step.when is None else 0.0


def _max_seconds(step: Step) -> Seconds:
    waits = step.sleep or (step.wait_for.timeout if step.wait_for else timedelta())
    completion = step.completion_timeout if step.completion else timedelta()
    calls = _max_call_seconds(step.action) if step.action is not None else 0.0
    return waits.total_seconds() + completion.total_seconds() + calls


def _max_call_seconds(call: Call) -> Seconds:
    attempts = call.retry.attempts or 1
    return attempts * call.timeout.total_seconds() + _max_wait_seconds(call.retry, attempts - 1)


def _max_wait_seconds(retry: RetryPolicy, number: int) -> Seconds:
    growing = min(number, ATTEMPTS_TO_CAP)
    total = sum(retry.max_delay(attempt).total_seconds() for attempt in range(1, growing + 1))
    return total + (number - growing) * retry.max_delay(ATTEMPTS_TO_CAP).total_seconds()


def _format_seconds(seconds: Seconds) -> str:
    if seconds > MAX_DURATION.total_seconds():
        return "more than ten years"
    return format_duration(timedelta(seconds=round(seconds, 3)))
