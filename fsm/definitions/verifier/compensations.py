"""Check that every effect can be compensated, by a call that is made and is safe to repeat."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition import Step
from ..findings import Finding, error, warning
from .context import VerifierContext


def check_compensations(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if not step.has_effect:
        yield from _check_unneeded_compensation(step, at)
    elif step.undone_by is not None:
        yield from _check_undone_by(context, step, at)
    elif not step.is_compensatable and not context.is_never_compensated(step):
        detail = (
            f"{step.name} may have to be undone and has no compensation: declare one, or"
            " undone_by, or effect: none if there is nothing to undo"
        )
        yield error("cannot-be-undone", at, detail)
    if step.compensate_on_reject and step.undone_by is None and not step.is_compensatable:
        detail = f"{step.name} has compensate_on_reject and no compensation: declare one"
        yield error("cannot-be-undone", f"{at}/compensate_on_reject", detail)
    yield from _check_unreachable_compensation(context, step, at)
    yield from _check_compensation_call(step, f"{at}/compensation")


def _check_unneeded_compensation(step: Step, at: str) -> Iterator[Finding]:
    if step.compensation is not None:
        detail = (
            f"{step.name} has effect: none, so its compensation would never be called:"
            " leave out one of the two"
        )
        yield error("undo-of-nothing", f"{at}/compensation", detail)
    if step.undone_by is not None:
        detail = f"{step.name} has no effect, so there is nothing to undo: leave out undone_by"
        yield error("undo-of-nothing", f"{at}/undone_by", detail)


def _check_undone_by(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    other = context.definition.by_name.get(step.undone_by or "")
    pointer = f"{at}/undone_by"
    if step.compensation is not None:
        detail = f"{step.name} has undone_by and a compensation of its own: keep one of the two"
        yield error("undone-twice", pointer, detail)
    elif other is None or other.name not in context.graph.predecessors[step.name]:
        detail = f"{step.undone_by} is not a step that runs before {step.name}: name one that does"
        yield error("undone-by-nobody", pointer, detail)
    elif context.may_be_skipped(other, step):
        detail = (
            f"{other.name} may be skipped, and then nothing undoes {step.name}:"
            f" give {step.name} the same condition, or a compensation of its own"
        )
        yield error("undone-by-nobody", pointer, detail)
    elif not other.is_compensatable:
        detail = (
            f"{other.name} has no compensation that could undo {step.name}:"
            f" declare one there, or one for {step.name}"
        )
        yield error("undone-by-nobody", pointer, detail)


def _check_unreachable_compensation(
    context: VerifierContext, step: Step, at: str
) -> Iterator[Finding]:
    """Warn of a compensation that is never called: its author may rely on it."""
    asks = step.compensate_on_reject and step.pivot
    if context.is_never_compensated(step) and step.has_effect and not asks:
        why = "is a pivot" if step.pivot else "runs only after a pivot"
        detail = f"{step.name} {why}, so it is never undone: leave this out, or move the pivot"
        for member, value in (("compensation", step.compensation), ("undone_by", step.undone_by)):
            if value is not None:
                yield warning("undo-never-called", f"{at}/{member}", detail)


def _check_compensation_call(step: Step, at: str) -> Iterator[Finding]:
    undo, action = step.compensation, step.action
    if undo is None or action is None:
        return
    if undo.retry.attempts == 1:
        detail = (
            f"with a single attempt one lost reply leaves {step.name} not undone and parks the"
            " saga: allow more attempts, for a compensation is safe to repeat"
        )
        yield warning("single-undo-attempt", f"{at}/retry/attempts", detail)
    if undo.retry.attempts is None:
        detail = (
            f"if {step.name} cannot be undone, its compensation is tried for ever and no operator"
            " is notified: limit the attempts, and the saga parks after the last"
        )
        yield warning("tries-for-ever", f"{at}/retry/attempts", detail)
    if (undo.method, undo.path, undo.body) == (action.method, action.path, action.body):
        detail = (
            "the compensation sends the same request as the action:"
            f" write the request that undoes {step.name}"
        )
        yield warning("undo-repeats-action", at, detail)
