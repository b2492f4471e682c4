"""What can be known of a definition before the first saga runs.

Errors refuse a definition, warnings are told to its author; each says where, and what to change.
"""

from __future__ import annotations

from collections.abc import Iterator

from .definition import Call, Definition, Step
from .errors import Finding, Severity
from .expression import Expression, Reference
from .path import dotted
from .template import expressions

ROOTS = ("input", "steps", "saga")
SAGA_MEMBERS = ("id", "type", "entity_id", "error")
STEP_MEMBERS = ("output", "key")


def verify(definition: Definition) -> list[Finding]:
    """In the order of the document."""
    return [
        finding
        for number, step in enumerate(definition.steps)
        for finding in _of_step(definition, step, f"/steps/{number}")
    ]


def _of_step(definition: Definition, step: Step, at: str) -> Iterator[Finding]:
    yield from _undo_coverage(definition, step, at)
    earlier = _before(definition, step)
    yield from _references(definition, step.action, earlier, f"{at}/action")
    if step.when is not None:
        yield from _of_expression(definition, step.when, earlier, f"{at}/when")
    if step.status is not None:
        yield from _references(definition, step.status, earlier, f"{at}/status")
    yield from _output_references(step, at)
    if step.compensation:
        place = f"{at}/compensation"
        yield from _references(definition, step.compensation, earlier | {step.name}, place)
        yield from _needs_own_output(step, place)


def _before(definition: Definition, step: Step) -> frozenset[str]:
    found: set[str] = set()
    pending = list(step.after)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += definition[name].after
    return frozenset(found)


def _undo_coverage(definition: Definition, step: Step, at: str) -> Iterator[Finding]:
    """R9."""
    if step.undone_by is not None:
        yield from _undone_by(definition, step, at)
    elif step.has_effect and not step.compensation and not _never_undone(definition, step):
        detail = (
            f"{step.name} may have to be undone and has no compensation: declare one, or"
            " `undone_by`, or `effect: none` if there is nothing to undo"
        )
        yield Finding(code="cannot-be-undone", pointer=at, detail=detail)
    elif step.compensate_on_reject and not step.compensation:
        detail = f"{step.name} asks to be undone when it is rejected, and has no compensation"
        yield Finding(code="cannot-be-undone", pointer=f"{at}/compensate_on_reject", detail=detail)
    if not step.has_effect and step.compensation:
        detail = f"{step.name} has no effect, so its compensation would never be called"
        yield Finding(code="undo-of-nothing", pointer=f"{at}/compensation", detail=detail)


def _never_undone(definition: Definition, step: Step) -> bool:
    return step.pivot or step.name in definition.after_pivot


def _undone_by(definition: Definition, step: Step, at: str) -> Iterator[Finding]:
    other = definition.by_name.get(step.undone_by or "")
    place = f"{at}/undone_by"
    if step.compensation:
        detail = f"{step.name} has a compensation of its own; keep one of the two"
        yield Finding(code="undone-twice", pointer=place, detail=detail)
    elif other is None or other.name not in _before(definition, step):
        detail = f"{step.undone_by} is not a step before {step.name}"
        yield Finding(code="undone-by-nobody", pointer=place, detail=detail)
    elif other.when is not None:
        detail = f"{other.name} may be skipped, and would not undo {step.name} then"
        yield Finding(code="undone-by-nobody", pointer=place, detail=detail)
    elif other.compensation is None:
        detail = f"{other.name} has no compensation that could undo {step.name}"
        yield Finding(code="undone-by-nobody", pointer=place, detail=detail)


def _references(
    definition: Definition, call: Call, known: frozenset[str], at: str
) -> Iterator[Finding]:
    for place, expression in _expressions_of(call, at):
        yield from _of_expression(definition, expression, known, place)


def _of_expression(
    definition: Definition, expression: Expression, known: frozenset[str], place: str
) -> Iterator[Finding]:
    for reference in expression.references:
        if why := _wrong_reference(definition, reference, known):
            detail = f"${{{expression.source}}}: {why}"
            yield Finding(code="unknown-reference", pointer=place, detail=detail)


def _wrong_reference(
    definition: Definition, reference: Reference, known: frozenset[str]
) -> str | None:
    match reference.path:
        case ("input", *_):
            return None
        case ("saga", str() as member, *_) if member in SAGA_MEMBERS:
            return None
        case ("saga", *_):
            return f"saga has {', '.join(SAGA_MEMBERS)}"
        case ("steps", str() as name, *_) if name not in definition.by_name:
            return f"there is no step {name!r}"
        case ("steps", str() as name, "output", *_) if name not in known:
            return f"step {name!r} has not run by then"
        case ("steps", str(), str() as member, *_) if member in STEP_MEMBERS:
            return None
        case ("steps", *_):
            return "write steps.<name>.output or steps.<name>.key"
        case _:
            return f"{dotted(reference.path)} is neither of {', '.join(ROOTS)}"


def _output_references(step: Step, at: str) -> Iterator[Finding]:
    if step.output is None:
        return
    for expression in expressions(step.output):
        for reference in expression.references:
            if reference.path[:2] != ("response", "body"):
                detail = f"${{{expression.source}}}: an output is made of response.body"
                yield Finding(code="unknown-reference", pointer=f"{at}/output", detail=detail)


def _needs_own_output(step: Step, at: str) -> Iterator[Finding]:
    """When nobody knows whether the action happened, there is no output to undo it with."""
    assert step.compensation
    for place, expression in _expressions_of(step.compensation, at):
        if any(one.step == step.name and not one.optional for one in expression.references):
            detail = (
                f"${{{expression.source}}} is not there when the outcome of {step.name} is unknown;"
                f" give a fallback with ||, or use steps.{step.name}.key"
            )
            yield Finding(
                code="undo-needs-own-output",
                pointer=place,
                detail=detail,
                severity=Severity.WARNING,
            )


def _expressions_of(call: Call, at: str) -> Iterator[tuple[str, Expression]]:
    yield from ((f"{at}/path", one) for one in expressions(call.path))
    if call.body is not None:
        yield from ((f"{at}/body", one) for one in expressions(call.body))
    for name, value in call.headers:
        yield from ((f"{at}/headers/{name}", one) for one in expressions(value))
