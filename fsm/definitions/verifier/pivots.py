"""Check the steps before, beside and after a pivot.

Once a pivot has succeeded the saga only goes forward, so a step that may be rejected belongs before
it, and a step after it must be retried until it succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definition import OnTimeout, Step
from ..findings import Finding, error, warning
from .context import VerifierContext, constant_condition


def check_pivots(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.pivot:
        yield from _check_pivot(context, step, at)
    elif step.name not in context.graph.after_pivot:
        yield from _check_concurrent_with_pivot(context, step, at)
    elif step.action is not None and step.action.retry.attempts is not None:
        detail = (
            f"{step.name} runs after the pivot, so the saga cannot go back: when its"
            f" {step.action.retry.attempts} attempts are used up, the saga parks until an operator"
            " acts; leave out attempts, and it is tried until it succeeds"
        )
        yield warning("gives-up-after-pivot", f"{at}/action/retry/attempts", detail)


def _check_pivot(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.when is not None and constant_condition(step) is not True:
        detail = (
            f"if the pivot {step.name} is skipped, the steps after it may have to be undone:"
            " leave out the condition, or give every step after it a compensation"
        )
        yield warning("pivot-may-be-skipped", f"{at}/when", detail)
    if step.name in context.graph.after_pivot:
        detail = (
            f"{step.name} runs after another pivot, from which on the saga only goes forward:"
            " leave out one of the two pivots"
        )
        yield warning("second-pivot", f"{at}/pivot", detail)
    rivals = [
        other.name
        for other in context.concurrent_with(step)
        if other.pivot and not (other.when or step.when)
    ]
    if rivals:
        detail = (
            f"{step.name} and {', '.join(rivals)} are concurrent pivots: if one succeeds and"
            " another is rejected, the saga can go neither forward nor back; let one follow the"
            " other, and make only the later one a pivot"
        )
        yield error("parallel-pivots", f"{at}/pivot", detail)


def _check_concurrent_with_pivot(
    context: VerifierContext, step: Step, at: str
) -> Iterator[Finding]:
    pivots = [other.name for other in context.concurrent_with(step) if other.pivot]
    if pivots and _may_be_rejected(step):
        names = ", ".join(pivots)
        detail = (
            f"{step.name} runs concurrently with the pivot {names}: if {step.name} is rejected once"
            f" {names} has succeeded, the saga can go neither forward nor back; let {names} run"
            f" after {step.name}"
        )
        yield warning("beside-pivot", at, detail)


def _may_be_rejected(step: Step) -> bool:
    if step.wait_for is not None:
        return step.wait_for.on_timeout is OnTimeout.REJECT
    return step.sleep is None
