"""What can be known of a definition before the first saga runs.

    undo          every effect can be undone, by somebody who will be there (R9)
    pivots        the order of what cannot be taken back
    references    every value is there on every path that reads it: forward, and on the way back,
                  also when nobody knows whether the action happened
    inputs        the input is read as it is declared
    schemas       something fits what is declared of the input
    expressions   what would fail whatever the data are
    kinds         what never is what its author meant, whatever the data are
    calls         requests that no participant would get, or would get wrongly
    slips         texts that were probably meant otherwise
    endings       steps that never run, and steps that never end
    circles       sagas that start each other without end
    time_budget   the deadline against what the steps may take

Errors refuse a definition: they are certain, some saga would fail on each. Warnings are risks that
its author may have reasons to take. Each says where it is and what to change; docs/findings.md has
all codes. Other definitions and the participants are those that `verify` is given.
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
    """Return the findings, those of a step together. Without `known_participants` any name is one,
    and so is any type of a child saga.

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
