"""The verifier: static checks of a definition, before the first saga runs.

    compensations     every effect can be compensated, by a call that is made (R9)
    pivots            the steps before, beside and after a pivot
    references        every value is there when it is read: forward, in a compensation, and also if
                      the outcome of the action is unknown
    inputs            expressions read the input as it is declared, and some value fits the schema
    expressions       expressions that fail whatever the data are
    type_inference    expressions whose type makes them useless whatever the data are
    calls             URLs, headers and retries that cannot work as they are written
    likely_mistakes   texts that were probably meant as expressions
    termination       steps that never run, and steps that never end
    child_sagas       sagas that start each other without end, and undefined children
    time_budget       the deadline against the time that the steps may take

An error refuses the definition: some saga would certainly fail. A warning is a risk that the author
may have reasons to take. Each finding has its place and what to change; docs/findings.md lists all
codes. The checks share a `VerifierContext`; `expression_sites` finds the expressions of a step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..definition import Definition, Step
from ..findings import Finding
from .calls import check_calls, check_participant
from .child_sagas import check_child, check_endless_children
from .compensations import check_compensations
from .context import VerifierContext
from .expressions import check_expressions
from .inputs import check_inputs, check_schemas
from .likely_mistakes import check_likely_mistakes
from .pivots import check_pivots
from .references import check_references
from .termination import check_termination
from .time_budget import check_step_time, check_time_budget

CHECKS = (
    check_compensations,
    check_pivots,
    check_references,
    check_inputs,
    check_expressions,
    check_calls,
    check_likely_mistakes,
    check_termination,
    check_step_time,
)


def verify(
    definition: Definition,
    known_participants: Collection[str] | None = None,
    others: Collection[Definition] = (),
) -> list[Finding]:
    """Return the findings, those of a step together. Participants and types of child sagas are only
    checked if `known_participants` are given.

    `others` are the definitions that its children may be; one of the same name and version as
    `definition` does not count.
    """
    context = VerifierContext(definition)
    findings = [
        *check_schemas(definition),
        *check_time_budget(context),
        *check_endless_children(definition, others),
    ]
    for number, step in enumerate(definition.steps):
        at = f"/steps/{number}"
        if known_participants is not None:  # and so all definitions, as a service does
            findings += check_child(step, at, (definition, *others))
        findings += _check_step(context, step, at, known_participants)
    return list(dict.fromkeys(findings))


def _check_step(
    context: VerifierContext, step: Step, at: str, known_participants: Collection[str] | None
) -> Iterator[Finding]:
    if known_participants is not None:
        yield from check_participant(step, at, known_participants)
    for check in CHECKS:
        yield from check(context, step, at)
