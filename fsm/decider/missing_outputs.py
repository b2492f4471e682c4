"""The explanation of a request that cannot be built: the steps whose outputs it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..expressions.template import Template, expressions
from ..formats.json_path import ABSENT, get_path
from ..machines import StepStatus
from ..saga import Saga


class UnbuildableCall(NamedTuple):
    """A request that cannot be built: why, the done steps whose outputs would let the saga go on,
    and the steps whose outputs certainly lack something."""

    reason: str
    without_output: tuple[str, ...]
    insufficient: frozenset[str]


def explain_unbuildable(saga: Saga, templates: Iterable[Template], what: str) -> UnbuildableCall:
    """Find the steps whose outputs keep a request from being built of `templates`.

    `what` names the request. If no output lacks anything, one of them has an unsuitable value, and
    each step that is read may be the one.
    """
    read, lacking = _read_and_insufficient(saga, templates)
    causes = lacking or read
    reasons = [what, *filter(None, (_reason(saga, name) for name in causes))]
    done = tuple(name for name in causes if saga.status_of(name) is StepStatus.SUCCEEDED)
    return UnbuildableCall("; ".join(reasons), done, frozenset(lacking))


def _read_and_insufficient(
    saga: Saga, templates: Iterable[Template]
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the steps that are read, and those whose outputs lack something that is needed."""
    read, lacking, scope = {}, {}, saga.scope()
    for template in templates:
        for expression in expressions(template):
            for reference in expression.references:
                if (name := reference.step) is None or name not in saga.definition.by_name:
                    continue
                read[name] = True
                if not reference.optional and get_path(reference.path, scope) is ABSENT:
                    lacking[name] = True
    return list(read), list(lacking)


def _reason(saga: Saga, name: str) -> str:
    state = saga.state.step(name)
    if state.status is not StepStatus.SUCCEEDED:
        return f"{name} has no output, because it is {state.status}"
    if state.last_error is not None:
        return f"{name} is done, but {state.last_error}"
    return ""
