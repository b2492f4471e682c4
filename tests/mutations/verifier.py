"""What is refusal at registration: R9, broken where it lives."""

from __future__ import annotations

from typing import Final

from saga_orchestrator.tests.mutations.mutation import Mutation

VERIFIER: Final = "test_what_can_be_undone.py"

MUTATIONS: Final = (
    Mutation(
        rule="R9",
        effect="no check that effects can be undone",
        file="fsm/definitions/verifier/__init__.py",
        old="    check_compensations,\n    check_pivots,\n",
        new="    check_pivots,\n",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        effect="steps after a pivot that may be skipped need no compensation",
        file="fsm/definitions/definition.py",
        old="{step.name for step in self.steps if step.pivot and step.when is None}",
        new="{step.name for step in self.steps if step.pivot}",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        effect="a step may be undone by a step that may be skipped",
        file="fsm/definitions/verifier/compensations.py",
        old="elif context.may_be_skipped(other, step):",
        new="elif False:",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        effect="a step may be undone by a step without a compensation",
        file="fsm/definitions/verifier/compensations.py",
        old="elif not other.is_compensatable:",
        new="elif False:",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        effect="a step may be undone by a later step",
        file="fsm/definitions/verifier/compensations.py",
        old="elif other is None or other.name not in context.graph.predecessors[step.name]:",
        new="elif other is None:",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        effect="pivots need a compensation",
        file="fsm/definitions/verifier/context.py",
        old="return step.pivot or step.name in self.graph.after_pivot",
        new="return step.name in self.graph.after_pivot",
        property=VERIFIER,
    ),
)
