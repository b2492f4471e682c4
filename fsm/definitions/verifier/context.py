"""The data that all checks share: the order of the steps, their conditions, and the declared
input."""

from __future__ import annotations

from collections.abc import Iterator

from ...expressions.expression import ExpressionError
from ...expressions.syntax_tree import children, nodes, reads_scope
from ...formats.schema_shape import Parts
from ..definition import Definition, Step
from ..input_schema import InputSchema

MAX_SCHEMA_LOOKUPS = 20_000  # look-ups of schemas and names in the input's schema: some 0.3 s


class VerifierContext:
    """A definition, with what the checks compute of it only once: the order of its steps, the
    operands of their conditions, and the parts that its input schema declares."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.graph = definition.graph
        self.input = _schema_parts(definition.input)
        self.conditions = {step.name: frozenset(_conjuncts(step)) for step in definition.steps}

    def concurrent_with(self, step: Step) -> list[Step]:
        """Return the steps that may run at the same time as `step`."""
        return [self.definition[name] for name in self.graph.concurrent_with(step.name)]

    def is_never_compensated(self, step: Step) -> bool:
        return step.pivot or step.name in self.graph.after_pivot

    def may_be_skipped(self, earlier: Step, later: Step) -> bool:
        """True if `earlier` may have been skipped although `later` was not.

        The values that conditions read never change, so if `later` has all conditions of `earlier`
        and they held for it, they held for `earlier` too.
        """
        return not self.conditions[earlier.name] <= self.conditions[later.name]


def _schema_parts(schema: InputSchema | None) -> Parts | None:
    return Parts(schema.document, MAX_SCHEMA_LOOKUPS) if schema is not None else None


def constant_condition(step: Step) -> bool | None:
    """Return the value of the condition of `step` if it is the same for all sagas, else None."""
    if step.when is None or any(reads_scope(node) for _, node in nodes(step.when.tree)):
        return None
    try:
        return step.when.holds({})
    except ExpressionError:
        return None


def _conjuncts(step: Step) -> Iterator[str]:
    """Yield the operands of the conjunction that the condition of `step` is."""
    if constant_condition(step) is True or step.when is None:
        return
    pending = [step.when.tree]
    while pending:
        node = pending.pop()
        if node["type"] == "and_expression":
            pending += children(node)
        else:
            yield str(node)
