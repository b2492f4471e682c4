"""Find the expressions of a step: where each is written, and when it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ...expressions.expression import Expression
from ...expressions.template import ListTemplate, Literal, ObjectTemplate, Template, Text
from ..definition import Call, Step


class EvaluationPhase(StrEnum):
    """The time at which an expression is evaluated."""

    CONDITION = "condition"  # before the step begins
    FORWARD = "forward"  # for each attempt of its action, and each status query about it
    BACKWARD = "backward"  # for each attempt of its compensation
    REPLY = "reply"  # when the reply of its action has arrived


@dataclass(frozen=True, slots=True)
class ExpressionSite:
    """An expression and its place. `in_text` is true if the value becomes part of a text, which
    only texts, numbers and booleans can."""

    pointer: str
    phase: EvaluationPhase
    expression: Expression
    in_text: bool = False


def expression_sites(step: Step, at: str) -> Iterator[ExpressionSite]:
    """Yield the expressions of `step` in the order in which they are evaluated."""
    if step.when is not None:
        yield ExpressionSite(f"{at}/when", EvaluationPhase.CONDITION, step.when)
    if step.action is not None:
        yield from _call_sites(step.action, f"{at}/action", EvaluationPhase.FORWARD)
    if step.child is not None and step.child.input is not None:
        yield from _template_sites(step.child.input, f"{at}/saga/input", EvaluationPhase.FORWARD)
    if step.status is not None:
        yield from _call_sites(step.status, f"{at}/status", EvaluationPhase.FORWARD)
    if step.output is not None:
        for site in _template_sites(step.output, "", EvaluationPhase.REPLY):
            yield ExpressionSite(
                f"{at}/output", EvaluationPhase.REPLY, site.expression, site.in_text
            )
    if step.compensation is not None:
        yield from _call_sites(step.compensation, f"{at}/compensation", EvaluationPhase.BACKWARD)


def header_pointer(at: str, name: str) -> str:
    return f"{at}/headers/{escape_pointer_token(name)}"


def _call_sites(call: Call, at: str, moment: EvaluationPhase) -> Iterator[ExpressionSite]:
    yield from _text_sites(call.path, f"{at}/path", moment)
    if call.body is not None:
        yield from _template_sites(call.body, f"{at}/body", moment)
    for name, value in call.headers:
        yield from _text_sites(value, header_pointer(at, name), moment)


def _text_sites(text: Text, at: str, moment: EvaluationPhase) -> Iterator[ExpressionSite]:
    for part in text.parts:
        if isinstance(part, Expression):
            yield ExpressionSite(at, moment, part, in_text=True)


def _template_sites(
    template: Template, at: str, moment: EvaluationPhase
) -> Iterator[ExpressionSite]:
    match template:
        case Expression():
            yield ExpressionSite(at, moment, template)
        case Text():
            yield from _text_sites(template, at, moment)
        case ObjectTemplate(members=members):
            for name, member in members:
                yield from _template_sites(member, f"{at}/{escape_pointer_token(name)}", moment)
        case ListTemplate(items=items):
            for number, item in enumerate(items):
                yield from _template_sites(item, f"{at}/{number}", moment)
        case Literal():
            return


def escape_pointer_token(name: str) -> str:
    """Escape a member name for a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
