"""Which steps surely come before which, and which may be left out."""

from __future__ import annotations

from collections.abc import Iterator

from ...expressions.expression import Expression, ExpressionError, Node
from ...formats.schema_shape import Parts
from ..definition import Definition, Step
from ..input_schema import InputSchema

MAX_SCHEMA_LOOKUPS = 20_000  # at schemas, and names in them, of the input: some 0.3 s


class VerifierContext:
    """Of the steps of one definition.

    `before` has, for each step, all that it follows. `beyond` are the steps that run only once a
    pivot was passed for certain: one that has a condition may be skipped, and is not passed then.
    `input` is what the definition declares of it.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.predecessors = {
            step.name: definition.predecessors(step.name) for step in definition.steps
        }
        sure = {step.name for step in definition.steps if step.pivot and not step.when}
        self.after_pivot = frozenset(
            name for name, all_ in self.predecessors.items() if all_ & sure
        )
        self.input = _schema_parts(definition.input)
        self.conditions = {step.name: frozenset(_conjuncts(step)) for step in definition.steps}

    def concurrent_with(self, step: Step) -> list[Step]:
        """The steps that may run at the same time."""
        return [one for one in self.definition.steps if self.are_concurrent(step, one)]

    def are_concurrent(self, one: Step, other: Step) -> bool:
        follows = (
            one.name in self.predecessors[other.name] or other.name in self.predecessors[one.name]
        )
        return one is not other and not follows

    def is_never_compensated(self, step: Step) -> bool:
        return step.pivot or step.name in self.after_pivot

    def may_be_skipped(self, earlier: Step, later: Step) -> bool:
        """Whether `earlier` may have been skipped although `later` was not.

        What conditions read never changes once it is there, so what held for the one that has all
        conditions of the other held for both.
        """
        return not self.conditions[earlier.name] <= self.conditions[later.name]


def _schema_parts(schema: InputSchema | None) -> Parts | None:
    return Parts(schema.document, MAX_SCHEMA_LOOKUPS) if schema is not None else None


def constant_condition(step: Step) -> bool | None:
    """Whether it always or never runs, if that is the same for all sagas."""
    if step.when is None or any(reads_scope(node) for _, node in nodes(step.when)):
        return None
    try:
        return step.when.holds({})
    except ExpressionError:
        return None


def nodes(expression: Expression) -> Iterator[tuple[int, Node]]:
    """All of its tree, each with how deep it stands. Without recursion: some are very deep."""
    pending = [(1, expression.tree)]
    while pending:
        depth, node = pending.pop()
        yield depth, node
        pending += [(depth + 1, child) for child in children(node)]


def children(node: Node) -> list[Node]:
    return [one for one in node["children"] if isinstance(one, dict)]


def reads_scope(node: Node) -> bool:
    """Whether the value of `node` is one of the scope."""
    return node["type"] in ("path", "current", "identity")


def _conjuncts(step: Step) -> Iterator[str]:
    """What must hold, each by itself."""
    if constant_condition(step) is True or step.when is None:
        return
    pending = [step.when.tree]
    while pending:
        node = pending.pop()
        if node["type"] == "and_expression":
            pending += children(node)
        else:
            yield str(node)
