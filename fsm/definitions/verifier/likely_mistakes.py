"""Warn of texts that are valid and were probably meant as an expression.

`{name}` without `$` is sent literally, and so are `$input.a` and `:id` without braces. The URL of a
signal that no step waits for is found here as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from ...expressions.expression import Expression, ExpressionError, parse
from ...expressions.template import ListTemplate, Literal, ObjectTemplate, Template, Text
from ...formats.strict_json import Json
from ..definition import Call, Step
from ..findings import Finding, warning
from .context import VerifierContext
from .expression_sites import escape_pointer_token, header_pointer

PLACEHOLDER = re.compile(r"\{\{?\s*([A-Za-z_][\w-]*(?:\.[\w-]+|\[-?\d+\])*)\s*\}\}?", re.ASCII)
WRAPPED = re.compile(r"\$\{([^{}]*)\}|\{\{([^{}]*)\}\}|\$(?=[A-Za-z])")
SIGNAL = re.compile(r"/signals/([A-Za-z][A-Za-z0-9_-]*)")
ROOTS = ("input", "steps", "saga", "response")
PATH_TAIL = r"(?:\.[\w-]+|\[-?\d+\])"
DOLLAR_WITHOUT_BRACES = re.compile(rf"\$\.?((?:{'|'.join(ROOTS)}){PATH_TAIL}*)(?!\w)", re.ASCII)
NAME_IN_PATH = re.compile(r"/:([A-Za-z_]\w*)(?=[/?]|$)", re.ASCII)
# A whole text that is almost certainly meant as a reference.
BARE_REFERENCE = re.compile(
    r"input(?:\.[A-Za-z_]\w*)+|steps\.[A-Za-z][\w-]*\.(?:key|output\b[\w.\[\]-]*)"
    r"|saga\.(?:id|type|entity_id|error)|response\.body\b[\w.\[\]-]*",
    re.ASCII,
)
SAGA_ID_PATH = ("saga", "id")


def check_likely_mistakes(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    for call, place in ((step.action, "action"), (step.status, "status")):
        if call is not None:
            yield from _check_call(context, call, f"{at}/{place}")
    if step.child is not None and step.child.input is not None:
        yield from _check_template(context, step.child.input, f"{at}/saga/input")
    if step.output is not None:
        yield from _check_template(context, step.output, f"{at}/output", root="response.body")
    if step.compensation is not None:
        yield from _check_call(context, step.compensation, f"{at}/compensation")


def suggest_expression(placeholder: re.Match[str], root: str = "input") -> str:
    """Return the expression that a text like `{id}` is probably meant as."""
    name = placeholder[1]
    return f"${{{name}}}" if name.startswith(ROOTS) else f"${{{root}.{name}}}"


def suggest_condition(text: str) -> str | None:
    """Return the expression that `$input.a`, `{{input.a}}` or `${input.a} == 'x'` is meant as."""
    source = WRAPPED.sub(lambda match: match[1] or match[2] or "", text).strip()
    try:
        references = parse(source).references
    except ExpressionError:
        return None
    is_meant = references and all(reference.path[0] in ROOTS for reference in references)
    return f"${{{source}}}" if is_meant else None


def _check_call(context: VerifierContext, call: Call, at: str) -> Iterator[Finding]:
    yield from _check_signal_urls(
        context, call.path, f"{at}/path"
    )  # braces in a path are an error: see calls
    yield from _check_dollars(call.path, f"{at}/path")
    for part in call.path.parts:
        for match in NAME_IN_PATH.finditer(part) if isinstance(part, str) else ():
            yield _sent_as_text(match[0][1:], f"${{input.{match[1]}}}", f"{at}/path")
    if call.body is not None:
        yield from _check_template(context, call.body, f"{at}/body")
    for name, value in call.headers:
        yield from _check_template(context, value, header_pointer(at, name))


def _check_template(
    context: VerifierContext, template: Template, at: str, *, root: str = "input"
) -> Iterator[Finding]:
    match template:
        case Text(parts=parts):
            yield from _check_signal_urls(context, template, at)
            yield from _check_dollars(template, at)
            for part in parts:
                if isinstance(part, str):
                    yield from _check_placeholders(part, at, root)
        case ObjectTemplate(members=members):
            for name, member in members:
                yield from _check_template(
                    context, member, f"{at}/{escape_pointer_token(name)}", root=root
                )
        case ListTemplate(items=items):
            for number, item in enumerate(items):
                yield from _check_template(context, item, f"{at}/{number}", root=root)
        case Literal(value=value):
            yield from _check_literal(value, at, root)


def _check_literal(value: Json, at: str, root: str) -> Iterator[Finding]:
    match value:
        case str():
            yield from _check_placeholders(value, at, root)
            yield from _check_dollars(Text((value,)), at)
            if BARE_REFERENCE.fullmatch(value):
                yield _sent_as_text(value, f"${{{value}}}", at)
        case dict():
            for name, member in value.items():
                yield from _check_literal(member, f"{at}/{escape_pointer_token(name)}", root)
        case list():
            for number, item in enumerate(value):
                yield from _check_literal(item, f"{at}/{number}", root)


def _check_dollars(text: Text, at: str) -> Iterator[Finding]:
    for part in text.parts:
        for match in DOLLAR_WITHOUT_BRACES.finditer(part) if isinstance(part, str) else ():
            yield _sent_as_text(match[0], f"${{{match[1]}}}", at)
    match text.parts:
        case ("$", Expression(source=source), *_):
            yield _sent_as_text(f"the $ before ${{{source}}}", f"${{{source}}}", at)


def _sent_as_text(what: str, meant: str, at: str) -> Finding:
    detail = f"{what} is sent as it is: write {meant} for a value"
    return warning("dollar-without-braces", at, detail)


def _check_placeholders(text: str, at: str, root: str) -> Iterator[Finding]:
    for match in PLACEHOLDER.finditer(text):
        detail = f"{match[0]} is sent as it is: write {suggest_expression(match, root)} for a value"
        yield warning("braces-without-dollar", at, detail)


def _check_signal_urls(context: VerifierContext, text: Text, at: str) -> Iterator[Finding]:
    """Check the URLs of signals to the saga itself, which a participant may be sent."""
    known = [step.wait_for.signal for step in context.definition.steps if step.wait_for is not None]
    for before, part in zip(text.parts, text.parts[1:], strict=False):
        is_own = isinstance(before, Expression) and before.path == SAGA_ID_PATH
        if not is_own or not isinstance(part, str) or not (match := SIGNAL.match(part)):
            continue
        if (signal := match[1]) not in known:
            like = get_close_matches(signal, known, n=1)
            cure = f"did you mean {like[0]}?" if like else "correct it, or add a step that waits"
            detail = f"no step waits for the signal {signal}, so it would be refused: {cure}"
            yield warning("unawaited-signal", at, detail)
