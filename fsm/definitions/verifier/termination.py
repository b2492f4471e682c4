"""Check for steps that never run, and for steps that never end."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition import Step
from ..findings import Finding, warning
from .context import VerifierContext, constant_condition


def check_termination(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    yield from _check_condition(step, at)
    yield from _check_signal(context, step, at)
    yield from _check_attempts(context, step, at)


def _check_condition(step: Step, at: str) -> Iterator[Finding]:
    match constant_condition(step):
        case False:
            detail = f"the condition never holds, so {step.name} never runs: leave the step out"
        case True:
            detail = f"the condition always holds: leave it out, {step.name} runs without it"
        case None:
            return
    yield warning("constant-condition", f"{at}/when", detail)


def _check_signal(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.wait_for is None:
        return
    signal = step.wait_for.signal
    rivals = [
        other
        for other in context.concurrent_with(step)
        if other.wait_for and other.wait_for.signal == signal
    ]
    if rivals:
        names = ", ".join(other.name for other in rivals)
        detail = (
            f"{names} may wait for the signal {signal} at the same time, and a signal completes"
            " only one step: give each step a signal of its own"
        )
        yield warning("signal-awaited-twice", f"{at}/wait_for/signal", detail)


def _check_attempts(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    unlimited = step.action is not None and step.action.retry.attempts is None
    if (
        unlimited
        and step.name not in context.graph.after_pivot
        and context.definition.deadline is None
    ):
        detail = (
            f"while its participant is down, {step.name} is tried for ever and the saga never"
            " compensates: limit the attempts, or give the saga a deadline"
        )
        yield warning("tries-for-ever", f"{at}/action/retry/attempts", detail)
