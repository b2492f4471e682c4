"""Whether the input of a start fits its definition, before anything is recorded.

What an expression puts into a text or gives to a function must be there. A body, or a member of
one, that is no more than a place of the input may be null: it is sent as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from .definition import Call, Definition
from .errors import Finding, InvalidInput
from .expression import Expression, Reference
from .path import Path, dotted, follow
from .reader import pointer
from .strict_json import Json, JsonObject
from .template import Template, Text, expressions


def check_input(definition: Definition, given: JsonObject) -> None:
    """Raises InvalidInput that names every missing member once, and what else does not fit."""
    misfits = definition.input.misfits(given) if definition.input is not None else ()
    needed = needed_input(definition)
    missing = {path: by for path, by in needed.items() if follow(path[1:], given) is None}
    if missing or misfits:
        raise InvalidInput(
            [
                *(_finding(path, by) for path, by in missing.items()),
                *(_misfit(path, why) for path, why in misfits if ("input", *path) not in missing),
            ]
        )


@cache
def needed_input(definition: Definition) -> Mapping[Path, str]:
    """The places of the input that must be there, and what needs them."""
    return {
        reference.path: f"{step.name}: ${{{expression.source}}}"
        for step in definition.steps
        for call in (step.action, step.compensation)
        if call is not None
        for expression, in_text in _expressions(call)
        for reference in expression.references
        if _is_needed(reference, in_text=in_text)
    }


def _is_needed(reference: Reference, *, in_text: bool) -> bool:
    of_input = len(reference.path) > 1 and reference.path[0] == "input"
    return of_input and not reference.optional and (in_text or reference.argument)


def _expressions(call: Call) -> Iterator[tuple[Expression, bool]]:
    """Each with whether its value is put into a text."""
    for text in (call.path, *(value for _, value in call.headers)):
        yield from ((one, one.path is not None) for one in expressions(text))
    if call.body is not None:
        yield from ((one, in_text) for one, in_text in _in_body(call.body))


def _in_body(template: Template) -> Iterator[tuple[Expression, bool]]:
    texts = {id(one) for text in _texts(template) for one in expressions(text)}
    for one in expressions(template):
        yield one, one.path is not None and id(one) in texts


def _texts(template: Template) -> Iterator[Text]:
    match template:
        case Text():
            yield template
        case _:
            children = [one for _, one in getattr(template, "members", ())]
            for child in (*children, *getattr(template, "items", ())):
                yield from _texts(child)


def _finding(path: Path, needed_by: str) -> Finding:
    detail = f"{dotted(path)} is missing, and needed by {needed_by}"
    return Finding(code="missing-input", pointer=_place(path), detail=detail)


def _misfit(path: Path, why: str) -> Finding:
    place = ("input", *path)
    return Finding(code="input-misfit", pointer=_place(place), detail=f"{dotted(place)} {why}")


def _place(path: Path) -> str:
    """`input.step_data[1]` is the member `step_data` of a start, all else is in its `input`."""
    return pointer(path[1:] if path[1:2] == ("step_data",) else path)


def merged_input(given: JsonObject | None, step_data: Json) -> JsonObject:
    """What expressions read as `input`."""
    return {**(given or {}), **({} if step_data is None else {"step_data": step_data})}
