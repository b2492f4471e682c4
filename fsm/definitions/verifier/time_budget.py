"""Compare the deadline with the time that the steps may take.

The most that a step takes is all its attempts, each until its timeout, with the longest waits in
between; unlimited attempts count as one, and a child saga, whose time is not known, as nothing. The
least is the time that it sleeps. A saga takes as long as the longest path through its graph.
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

ATTEMPTS_TO_CAP = 65  # attempts after which the longest wait no longer grows

Seconds: TypeAlias = float


def check_time_budget(context: VerifierContext) -> Iterator[Finding]:
    """Compare the deadline with the time of all steps together."""
    deadline = context.definition.deadline
    if deadline is None or any(
        _spans_over_deadline(step, deadline) for step in context.definition.steps
    ):
        return
    least, most = _longest_path(context, _min_seconds), _longest_path(context, _max_seconds)
    if least >= deadline.total_seconds():
        detail = (
            f"the sleeps alone take {_format_seconds(least)}, so no saga can end within"
            f" {format_duration(deadline)}: set a later deadline"
        )
        yield warning("never-in-time", "/deadline", detail)
    elif most > deadline.total_seconds():
        detail = (
            f"with all attempts and their waits the steps may take {_format_seconds(most)},"
            f" but the deadline is {format_duration(deadline)}: set a later deadline, or shorter"
            " timeouts, or allow fewer attempts"
        )
        yield warning("time-budget", "/deadline", detail)


def check_step_time(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    """Compare the deadline with each duration of `step`."""
    deadline = context.definition.deadline
    if deadline is None:
        return
    for place in _spans_over_deadline(step, deadline):
        detail = (
            f"this is longer than the deadline of the saga, {format_duration(deadline)}, which"
            " would pass first: shorten it, or set a later deadline"
        )
        yield warning("longer-than-deadline", f"{at}/{place}", detail)


def _spans_over_deadline(step: Step, deadline: timedelta) -> list[str]:
    """Return the members of `step` whose duration is longer than `deadline`."""
    spans = {
        "sleep": step.sleep,
        "wait_for/timeout": step.wait_for.timeout if step.wait_for else None,
        "action/timeout": step.action.timeout if step.action else None,
        "completion_timeout": step.completion_timeout if step.completion else None,
    }
    return [place for place, span in spans.items() if span is not None and span > deadline]


def _longest_path(context: VerifierContext, duration: Callable[[Step], Seconds]) -> Seconds:
    """Return the length of the longest path; steps with fewer predecessors are visited first."""
    ends: dict[str, Seconds] = {}
    for step in sorted(
        context.definition.steps, key=lambda step: len(context.graph.predecessors[step.name])
    ):
        ends[step.name] = duration(step) + max((ends[name] for name in step.after), default=0.0)
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
