"""Which steps surely come before which, and which may be left out."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition import Definition, Step
from ..expression import Expression, ExpressionError, Node
from ..input_schema import InputSchema
from .shape import Parts

MOST_LOOKS = 20_000  # at schemas, and names in them, of the input: some 0.3 s


class Order:
    """Of the steps of one definition.

    `before` has, for each step, all that it follows. `beyond` are the steps that run only once a
    pivot was passed for certain: one that has a condition may be skipped, and is not passed then.
    `input` is what the definition declares of it.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.before = {step.name: definition.before(step.name) for step in definition.steps}
        sure = {step.name for step in definition.steps if step.pivot and not step.when}
        self.beyond = frozenset(name for name, all_ in self.before.items() if all_ & sure)
        self.input = _parts(definition.input)
        self.conditions = {step.name: frozenset(_conditions(step)) for step in definition.steps}

    def beside(self, step: Step) -> list[Step]:
        """The steps that may run at the same time."""
        return [one for one in self.definition.steps if self.are_side_by_side(step, one)]

    def are_side_by_side(self, one: Step, other: Step) -> bool:
        follows = one.name in self.before[other.name] or other.name in self.before[one.name]
        return one is not other and not follows

    def is_never_undone(self, step: Step) -> bool:
        return step.pivot or step.name in self.beyond

    def may_be_left_out(self, earlier: Step, later: Step) -> bool:
        """Whether `earlier` may have been skipped although `later` was not.

        What conditions read never changes once it is there, so what held for the one that has all
        conditions of the other held for both.
        """
        return not self.conditions[earlier.name] <= self.conditions[later.name]


def _parts(schema: InputSchema | None) -> Parts | None:
    return Parts(schema.document, MOST_LOOKS) if schema is not None else None


def constant_condition(step: Step) -> bool | None:
    """Whether it always or never runs, if that is the same for all sagas."""
    if step.when is None or any(reads(node) for _, node in nodes(step.when)):
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


def reads(node: Node) -> bool:
    """Whether the value of `node` is one of the scope."""
    return node["type"] in ("path", "current", "identity")


def _conditions(step: Step) -> Iterator[str]:
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
