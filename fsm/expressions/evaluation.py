"""The interpreter of JMESPath expressions: evaluates the nodes of a tree, within a budget.

JMESPath has one null for two cases: a member that is null, and a member that is absent. Here they
differ, because an absent value must never be sent as null:

    a path                  is absent if its last member is, or if a value before it is null or
                            neither an object nor a list
    || and not_null         take the next value if one is absent
    a projection            leaves out the elements whose value is null or absent, as in JMESPath;
                            a projection of a value that is no list, or no object, is absent
    the condition of [?…]   takes an absent value for null
    a function              is absent where JMESPath's is null, like `max` of an empty list
    everything else         requires its parts: `{a: x}`, `[x]`, `x == y`, `!x`, arguments, keys

`StrictInterpreter` implements this table. `Interpreter` is JMESPath as specified, with its one
null, which is right for conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jmespath.exceptions import (
    ArityError,
    JMESPathError,
    JMESPathTypeError,
    UnknownFunctionError,
)
from jmespath.visitor import Options, TreeInterpreter

from ..formats.json_path import ABSENT, Absent, Path, get_path
from ..formats.strict_json import Json
from ..formats.wording import counted
from .compiled import is_truthy
from .functions import (
    NUMBER_TOO_LONG_MESSAGE,
    ExactFunctions,
    NumberTooLong,
    is_number,
    json_equal,
    sort_key,
)
from .syntax_tree import Node

MAX_VISITS = 10_000  # evaluations of nodes
MAX_ELEMENTS = 100_000  # members of lists and objects, in all arguments and in the result

CHARACTERS_PER_ELEMENT = 256  # a long text counts as one element for each of these
CONTAINERS = (dict, list)
EQUALITY = ("eq", "ne")
COMPARISON_SIGNS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
FUNCTIONS = ExactFunctions()
EVALUATION_FAILURES = (RecursionError, TypeError, ValueError, AttributeError, ArithmeticError)
ZERO_STEP_MESSAGE = "a slice has a step of 0: write another step, or leave it out"
TYPE_NAMES = {  # of JMESPath's types
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "array-number": "a list of numbers",
    "array-string": "a list of texts",
}


class ExpressionError(Exception):
    """An expression that cannot be parsed, or cannot be evaluated on the given data."""


class MissingValue(ExpressionError):
    """An expression that needs an absent value; `paths` are those of the scope that are absent."""

    def __init__(self, message: str, paths: tuple[Path, ...] = ()) -> None:
        super().__init__(message)
        self.paths = paths


class Budget:
    """The visits and elements that one evaluation may still use."""

    def __init__(self) -> None:
        self.visits, self.elements = MAX_VISITS, MAX_ELEMENTS

    def visit(self) -> None:
        self.visits -= 1
        if self.visits < 0:
            raise ExpressionError(f"an expression takes more than {MAX_VISITS} operations")

    def charge(self, value: Json) -> None:
        self.elements = charge_elements(self.elements, value)


def charge_elements(elements: int, value: Json) -> int:
    """Return `elements` minus the members of `value` at any depth, shared ones counted each time.

    Raises ExpressionError if less than none are left.
    """
    pending = [value]
    for container in pending:  # `pending` grows meanwhile
        members: Iterable[Json]
        if isinstance(container, dict):
            elements, members = elements - len(container), container.values()
        elif isinstance(container, list):
            elements, members = elements - len(container), container
        else:
            members = (container,)
        # `isinstance` in turn is twice as fast as `match`; most members are short texts.
        for member in members:
            if isinstance(member, str):
                if len(member) >= CHARACTERS_PER_ELEMENT:
                    elements -= len(member) // CHARACTERS_PER_ELEMENT
            elif isinstance(member, CONTAINERS):
                pending.append(member)
        if elements < 0:
            raise ExpressionError(f"an expression builds more than {MAX_ELEMENTS} elements")
    return elements


class Interpreter(TreeInterpreter):
    """JMESPath as specified: an absent value is null."""

    last_absent_path: Path = ()  # the last path that had no value

    def __init__(self, budget: Budget | None = None) -> None:
        super().__init__(Options(custom_functions=FUNCTIONS))
        self.budget = budget or Budget()

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self.budget.visit()
        result = super().visit(node, *args, **kwargs)
        if isinstance(result, list) and len(result) > MAX_ELEMENTS:
            raise ExpressionError(f"an expression builds more than {MAX_ELEMENTS} elements")
        return result

    def visit_path(self, node: Any, value: Any) -> Any:
        result = get_path(node["value"], value)
        return None if result is ABSENT else result

    def visit_slice(self, node: Any, value: Any) -> Any:
        if node["children"][2] == 0:
            raise ExpressionError(ZERO_STEP_MESSAGE)
        return super().visit_slice(node, value)

    def visit_needed(self, node: Any, value: Any) -> Any:
        return self.operand(node["children"][0], value)

    def operand(self, node: Node, value: Any) -> Any:
        """Return the value of a part that the result requires."""
        return self.visit(node, value)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = [self.operand(child, value) for child in node["children"]]
        operator, kind = node["value"], _ordered_type(left)
        if operator in EQUALITY:
            if isinstance(left, CONTAINERS):
                self.budget.charge(left)
            return json_equal(left, right) is (operator == "eq")
        if kind is not None and kind is _ordered_type(right):
            return self.COMPARATOR_FUNC[operator](sort_key(left), sort_key(right))
        return self.compare_unordered(operator, left, right)

    def compare_unordered(self, operator: str, left: Any, right: Any) -> Any:
        """Return null: JMESPath's result for values that have no order."""
        if None in (_ordered_type(left), _ordered_type(right)):
            return None
        raise ExpressionError(_describe_comparison(operator, left, right))

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.operand(child, value) for child in node["children"]]
        try:
            return self.call_function(node["value"], arguments)
        except JMESPathTypeError:
            if any(argument is None for argument in arguments):
                return None  # a function of null is null
            raise

    def call_function(self, name: str, arguments: list[Any]) -> Any:
        self.budget.charge(arguments)
        for argument in arguments if name == "merge" else ():  # the library checks only the first
            if not isinstance(argument, Mapping):
                raise JMESPathTypeError(name, argument, "", ["object"])
        return FUNCTIONS.call_function(name, arguments)


class StrictInterpreter(Interpreter):
    """JMESPath in which null is a value and an absent value is an error where it is required."""

    def operand(self, node: Node, value: Any) -> Any:
        """Return the value of a required part. Raises MissingValue."""
        result = self.visit(node, value)
        if result is ABSENT:
            raise MissingValue("a part has no value")
        return result

    def visit_path(self, node: Any, value: Any) -> Any:
        result = get_path(node["value"], value)
        if result is ABSENT:
            self.last_absent_path = node["value"]
        return result

    def visit_or_expression(self, node: Any, value: Any) -> Any:
        first, second = node["children"]
        result = self._visit_or_absent(first, value)
        return result if is_truthy(result) else self.visit(second, value)

    def visit_and_expression(self, node: Any, value: Any) -> Any:
        first, second = node["children"]
        result = self.visit(first, value)
        return self.visit(second, value) if is_truthy(result) else result

    def visit_not_expression(self, node: Any, value: Any) -> Any:
        return not is_truthy(self.operand(node["children"][0], value))

    def compare_unordered(self, operator: str, left: Any, right: Any) -> Any:
        raise ExpressionError(_describe_comparison(operator, left, right))

    def visit_multi_select_dict(self, node: Any, value: Any) -> Any:
        if value is None or value is ABSENT:
            return ABSENT
        return {child["value"]: self.operand(child, value) for child in node["children"]}

    def visit_multi_select_list(self, node: Any, value: Any) -> Any:
        if value is None or value is ABSENT:
            return ABSENT
        return [self.operand(child, value) for child in node["children"]]

    def visit_projection(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        return self._project(node, base) if isinstance(base, list) else ABSENT

    def visit_value_projection(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        return self._project(node, base.values()) if isinstance(base, Mapping) else ABSENT

    def visit_filter_projection(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return ABSENT
        condition, conditions = node["children"][2], Interpreter(self.budget)
        return self._project(node, [x for x in base if is_truthy(conditions.visit(condition, x))])

    def _project(self, node: Node, elements: Iterable[Any]) -> list[Any]:
        values = [self.visit(node["children"][1], element) for element in elements]
        return [value for value in values if value is not None and value is not ABSENT]

    def visit_flatten(self, node: Any, value: Any) -> Any:
        result = super().visit_flatten(node, value)
        return ABSENT if result is None else result

    def visit_slice(self, node: Any, value: Any) -> Any:
        result = super().visit_slice(node, value)
        return ABSENT if result is None else result

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        name, children = node["value"], node["children"]
        part = self._visit_or_absent if name == "not_null" else self.operand
        result = self.call_function(name, [part(child, value) for child in children])
        return ABSENT if result is None else result

    def call_function(self, name: str, arguments: list[Any]) -> Any:
        return super().call_function(
            name, [None if argument is ABSENT else argument for argument in arguments]
        )

    def _visit_or_absent(self, node: Node, value: Any) -> Any:
        try:
            return self.visit(node, value)
        except MissingValue:
            return ABSENT


def evaluate_tree(tree: Node, scope: Json, *, lenient: bool = False) -> Json | Absent:
    """Return the value of a node, or ABSENT. Raises ExpressionError.

    If `lenient`, an absent part is null, as in JMESPath.
    """
    interpreter = Interpreter() if lenient else StrictInterpreter()
    try:
        value: Json | Absent = interpreter.visit(tree, scope)
    except (JMESPathError, *EVALUATION_FAILURES) as error:
        raise ExpressionError(describe_failure(error)) from error
    return value


def describe_failure(error: Exception) -> str:
    """Describe in plain words why an expression cannot be evaluated."""
    match error:
        case ExpressionError():
            return str(error)
        case UnknownFunctionError():
            return "there is no such function"
        case ArityError():
            return f"{error.function_name} takes {counted(error.expected_arity, 'argument')}"
        case JMESPathTypeError():
            takes = " or ".join(TYPE_NAMES.get(kind, kind) for kind in error.expected_types)
            given = _detailed_type_name(error.current_value)
            return f"{error.function_name} takes {takes}, and is given {given}"
        case NumberTooLong() | ArithmeticError():
            return NUMBER_TOO_LONG_MESSAGE
        case RecursionError():
            return "it nests too deep"
        case _:
            return "a function is given a value that it cannot work with"


def type_name(value: Json | Absent) -> str:
    """Return the type of `value` as messages name it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case list():
            return "a list"
        case _:
            return "a number"


def _detailed_type_name(value: Json) -> str:
    """Return the type of `value` as messages name it, for a list with the types of its items."""
    if not isinstance(value, list):
        return type_name(value)
    items = sorted({type_name(item) for item in value})
    return f"a list with {' and '.join(items)} in it" if items else "an empty list"


def _ordered_type(value: Any) -> type[Any] | None:
    """Return the type by which `value` is ordered: str or int, or None if it has no order."""
    if isinstance(value, str):
        return str
    return int if is_number(value) else None


def _describe_comparison(operator: str, left: Any, right: Any) -> str:
    what = f"{type_name(left)} with {type_name(right)}"
    return f"{COMPARISON_SIGNS[operator]} compares two numbers or two texts, not {what}"
