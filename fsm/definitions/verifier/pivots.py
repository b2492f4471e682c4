"""The order of what cannot be taken back.

Once a pivot was passed the saga only goes forward, so whatever may still be refused belongs before
it, and what comes after it must be tried until it is done.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definition import OnTimeout, Step
from ..findings import Finding, error, warning
from .context import VerifierContext, constant_condition


def check_pivots(order: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.pivot:
        yield from _check_pivot(order, step, at)
    elif step.name not in order.after_pivot:
        yield from _check_concurrent_with_pivot(order, step, at)
    elif step.action is not None and step.action.retry.attempts is not None:
        detail = (
            f"after the pivot {step.name} can only be done: when its {step.action.retry.attempts}"
            " attempts are used up a person has to help; leave out attempts, and it is tried until"
            " it is done"
        )
        yield warning("gives-up-after-pivot", f"{at}/action/retry/attempts", detail)


def _check_pivot(order: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.when is not None and constant_condition(step) is not True:
        detail = (
            f"when {step.name} is skipped no pivot is passed, and all that follows it may have to"
            " be undone: leave out the condition, or see that every step has a compensation"
        )
        yield warning("pivot-may-be-skipped", f"{at}/when", detail)
    if step.name in order.after_pivot:
        detail = (
            f"a pivot was passed before {step.name}, and the saga only goes forward since:"
            " leave out one of them"
        )
        yield warning("second-pivot", f"{at}/pivot", detail)
    rivals = [
        one.name for one in order.concurrent_with(step) if one.pivot and not (one.when or step.when)
    ]
    if rivals:
        detail = (
            f"{step.name} and {', '.join(rivals)} are pivots side by side: when one is passed and"
            " another refused, the saga can go neither forward nor back; let one follow the other,"
            " and be the only pivot"
        )
        yield error("parallel-pivots", f"{at}/pivot", detail)


def _check_concurrent_with_pivot(order: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    pivots = [one.name for one in order.concurrent_with(step) if one.pivot]
    if pivots and _may_be_rejected(step):
        names = ", ".join(pivots)
        detail = (
            f"{step.name} runs side by side with the pivot {names}: if it is refused once {names}"
            f" is done, the saga can go neither forward nor back; let {names} come after it"
        )
        yield warning("beside-pivot", at, detail)


def _may_be_rejected(step: Step) -> bool:
    if step.wait_for is not None:
        return step.wait_for.on_timeout is OnTimeout.REJECT
    return step.sleep is None
