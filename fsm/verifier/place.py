"""Where the expressions of a step stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..definition import Call, Step
from ..expression import Expression
from ..template import ListTemplate, Literal, ObjectTemplate, Template, Text


class Moment(StrEnum):
    """When an expression is evaluated."""

    CONDITION = "condition"  # before the step begins
    FORWARD = "forward"  # for each attempt of its action, and each question about it
    BACKWARD = "backward"  # for each attempt of its compensation
    REPLY = "reply"  # once its action was answered


@dataclass(frozen=True, slots=True)
class Place:
    """`in_text` if the value is put into a text, which only texts, numbers and booleans can be."""

    pointer: str
    moment: Moment
    expression: Expression
    in_text: bool = False


def places(step: Step, at: str) -> Iterator[Place]:
    """All of its expressions, in the order in which they are evaluated."""
    if step.when is not None:
        yield Place(f"{at}/when", Moment.CONDITION, step.when)
    if step.action is not None:
        yield from _of_call(step.action, f"{at}/action", Moment.FORWARD)
    if step.child is not None and step.child.input is not None:
        yield from _of_template(step.child.input, f"{at}/saga/input", Moment.FORWARD)
    if step.status is not None:
        yield from _of_call(step.status, f"{at}/status", Moment.FORWARD)
    if step.output is not None:
        for place in _of_template(step.output, "", Moment.REPLY):
            yield Place(f"{at}/output", Moment.REPLY, place.expression, place.in_text)
    if step.compensation is not None:
        yield from _of_call(step.compensation, f"{at}/compensation", Moment.BACKWARD)


def header_pointer(at: str, name: str) -> str:
    return f"{at}/headers/{escaped(name)}"


def _of_call(call: Call, at: str, moment: Moment) -> Iterator[Place]:
    yield from _of_text(call.path, f"{at}/path", moment)
    if call.body is not None:
        yield from _of_template(call.body, f"{at}/body", moment)
    for name, value in call.headers:
        yield from _of_text(value, header_pointer(at, name), moment)


def _of_text(text: Text, at: str, moment: Moment) -> Iterator[Place]:
    for part in text.parts:
        if isinstance(part, Expression):
            yield Place(at, moment, part, in_text=True)


def _of_template(template: Template, at: str, moment: Moment) -> Iterator[Place]:
    match template:
        case Expression():
            yield Place(at, moment, template)
        case Text():
            yield from _of_text(template, at, moment)
        case ObjectTemplate(members=members):
            for name, member in members:
                yield from _of_template(member, f"{at}/{escaped(name)}", moment)
        case ListTemplate(items=items):
            for number, item in enumerate(items):
                yield from _of_template(item, f"{at}/{number}", moment)
        case Literal():
            return


def escaped(name: str) -> str:
    """RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")
