"""The steps whose outputs are missing where a request cannot be made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .machines import StepStatus
from .path import ABSENT, follow
from .saga import Saga
from .template import Template, expressions


def blamed(saga: Saga, templates: Iterable[Template], what: str) -> tuple[str, tuple[str, ...]]:
    """Return why the saga parks, and the done steps whose outputs would let it go on.

    `what` says what cannot be made of `templates`.
    """
    lacking = _lacking(saga, templates)
    reasons = [what, *(why for name in lacking if (why := _reason(saga, name)))]
    done = StepStatus.SUCCEEDED
    return "; ".join(reasons), tuple(name for name in lacking if saga.status_of(name) is done)


def _lacking(saga: Saga, templates: Iterable[Template]) -> Sequence[str]:
    """Return the steps whose outputs lack something that is needed. If none does, what is there
    cannot be used, and any step that is read may be the cause."""
    read, lacking, scope = {}, {}, saga.scope()
    for template in templates:
        for expression in expressions(template):
            for reference in expression.references:
                if (name := reference.step) is None or name not in saga.definition.by_name:
                    continue
                read[name] = True
                if not reference.optional and follow(reference.path, scope) is ABSENT:
                    lacking[name] = True
    return list(lacking or read)


def _reason(saga: Saga, name: str) -> str:
    state = saga.state.step(name)
    if state.status is not StepStatus.SUCCEEDED:
        return f"{name} has no output, because it is {state.status}"
    if state.last_error is not None:
        return f"{name} is done, but {state.last_error}"
    return ""
