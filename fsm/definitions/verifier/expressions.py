"""Check for expressions that fail whatever the data are."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ...expressions.expression import Expression, find_literals
from ...expressions.functions import PARAMETERS
from ...expressions.syntax_tree import RELATIVE, children, nodes
from ...formats.json_path import Path
from ...formats.strict_json import InvalidJson, parse_untrusted
from ...formats.wording import counted, did_you_mean
from ..definition import Step
from ..findings import Finding, error
from .context import VerifierContext
from .expression_sites import EvaluationPhase, ExpressionSite, expression_sites
from .references import declared_members
from .type_inference import check_access, check_condition

MAX_DEPTH = 100  # levels of an expression: each takes frames of the evaluator's stack


def check_expressions(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    for site in expression_sites(step, at):
        faults = [*_check_nodes(site), *_check_literals(site)]
        if not faults:
            faults += check_access(site.expression, site.pointer)
        if not faults and site.phase is EvaluationPhase.CONDITION:
            faults += check_condition(site.expression, site.pointer)
        yield from faults
        if _reads_whole_scope(site.expression):
            roots = (
                "response.body" if site.phase is EvaluationPhase.REPLY else "input, steps or saga"
            )
            detail = f"${{{site.expression.source}}} reads the whole scope: begin with {roots}"
            yield error("unknown-reference", site.pointer, detail)
        if site.in_text and site.expression.path and _is_object(context, site.expression.path):
            detail = (
                f"${{{site.expression.source}}} is an object, which cannot stand in a text:"
                " name one of its members"
            )
            yield error("object-in-text", site.pointer, detail)


def _check_nodes(site: ExpressionSite) -> Iterator[Finding]:
    for depth, node in nodes(site.expression.tree):
        if depth > MAX_DEPTH:
            detail = (
                f"the expression nests deeper than {MAX_DEPTH} levels: divide it into two steps"
            )
            yield error("bad-expression", site.pointer, detail)
            return
        if node["type"] == "function_expression":
            yield from _check_function(site, node["value"], len(node["children"]))


def _check_literals(site: ExpressionSite) -> Iterator[Finding]:
    """Check the literals; definitions registered before this check may have invalid ones."""
    for _, text in find_literals(site.expression.source):
        try:
            parse_untrusted(text.encode())
        except InvalidJson as reason:
            if _is_json(text):  # else a text without quotes
                detail = f"the literal `{text[:80]}` is not JSON that can be kept: {reason}"
                yield error("bad-literal", site.pointer, detail)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _check_function(site: ExpressionSite, name: str, given: int) -> Iterator[Finding]:
    if name not in PARAMETERS:
        known = ", ".join(sorted(PARAMETERS))
        cure = did_you_mean(name, PARAMETERS) or f": use one of {known}"
        detail = f"there is no function {name!r}{cure}"
        yield error("unknown-function", site.pointer, detail)
        return
    parameters = PARAMETERS[name]
    least, is_variadic = len(parameters), parameters[-1].is_variadic
    if given < least or (given > least and not is_variadic):
        takes = f"{least} or more arguments" if is_variadic else counted(least, "argument")
        detail = f"{name} takes {takes}, and is given {given}"
        yield error("wrong-arguments", site.pointer, detail)


def _reads_whole_scope(expression: Expression) -> bool:
    """True if `expression` reads the whole scope, `@`, which hides the steps that it needs."""
    pending = [expression.tree]
    while pending:
        node = pending.pop()
        if node["type"] in ("current", "identity"):
            return True
        if node["type"] != "expref":
            pending += children(node)[:1] if node["type"] in RELATIVE else children(node)
    return False


def _is_object(context: VerifierContext, path: Path) -> bool:
    match path:
        case ("input",):
            return True
        case ("steps", str() as name, "output") if name in context.definition.by_name:
            step = context.definition[name]
            return step.child is not None or declared_members(step) is not None
        case _:
            return False
