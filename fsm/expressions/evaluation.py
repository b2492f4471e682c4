"""The nodes of a JMESPath expression evaluated, under a budget.

JMESPath has one null for two things: a member that is null, and one that is not there. Here they
differ, because what is not there must never be sent as null:

    a path                  is absent where its last member is, and wherever something before it is
                            null or neither an object nor a list
    || and not_null         take the next value where one is absent
    a projection            leaves out the elements whose value is null or absent, as in JMESPath;
                            one of what is no list, or no object, is absent
    the condition of [?…]   takes what is absent for null
    a function              has no value where JMESPath's has null, as `max` of an empty list has
    everything else         needs its parts: `{a: x}`, `[x]`, `x == y`, `!x`, arguments, keys

`Interpreter` is JMESPath with its one null, which is right for conditions; `StrictInterpreter` is
the above.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from jmespath.exceptions import (
    ArityError,
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

MAX_VISITS = 10_000  # nodes of the expression, counted each time one is evaluated
MAX_ELEMENTS = 100_000  # members of lists and objects, in all arguments and in the result

CHARACTERS_PER_ELEMENT = 256  # how long texts count
CONTAINERS = (dict, list)
EQUALITY = ("eq", "ne")
COMPARISON_SIGNS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
FUNCTIONS = ExactFunctions()
EVALUATION_FAILURES = (RecursionError, TypeError, ValueError, AttributeError, ArithmeticError)
ZERO_STEP_MESSAGE = "a slice has a step of 0, which leads nowhere: write another, or leave it out"
TYPE_NAMES = {  # of JMESPath's types
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "array-number": "a list of numbers",
    "array-string": "a list of texts",
}

Node: TypeAlias = Mapping[str, Any]  # of the parser's tree: type, children, value


class ExpressionError(Exception):
    """An expression that cannot be parsed, or not be evaluated on these data."""


class MissingValue(ExpressionError):
    """An expression that needs what is not there: `paths` are the places of the scope, if any."""

    def __init__(self, message: str, paths: tuple[Path, ...] = ()) -> None:
        super().__init__(message)
        self.paths = paths


class Budget:
    """What one evaluation may still use."""

    def __init__(self) -> None:
        self.visits, self.elements = MAX_VISITS, MAX_ELEMENTS

    def visit(self) -> None:
        self.visits -= 1
        if self.visits < 0:
            raise ExpressionError(f"an expression takes more than {MAX_VISITS} operations")

    def charge(self, value: Json) -> None:
        self.elements = charge_elements(self.elements, value)


def charge_elements(elements: int, value: Json) -> int:
    """Without every member of `value`, at any depth: shared ones as often as they are written.

    Raises ExpressionError.
    """
    pending = [value]
    for one in pending:  # which grows meanwhile
        members: Iterable[Json]
        if isinstance(one, dict):
            elements, members = elements - len(one), one.values()
        elif isinstance(one, list):
            elements, members = elements - len(one), one
        else:
            members = (one,)
        # Asked by type in turn, twice as fast as matched; most members are short texts.
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
    """JMESPath as it is specified: what is absent is null."""

    last_absent_path: Path = ()  # that was followed in vain last

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
        found = get_path(node["value"], value)
        return None if found is ABSENT else found

    def visit_slice(self, node: Any, value: Any) -> Any:
        if node["children"][2] == 0:
            raise ExpressionError(ZERO_STEP_MESSAGE)
        return super().visit_slice(node, value)

    def visit_needed(self, node: Any, value: Any) -> Any:
        return self.operand(node["children"][0], value)

    def operand(self, node: Node, value: Any) -> Any:
        """Return the value of a part without which there is no result."""
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
        """JMESPath has null for a comparison with what has no order."""
        if None in (_ordered_type(left), _ordered_type(right)):
            return None
        raise ExpressionError(_describe_comparison(operator, left, right))

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.operand(child, value) for child in node["children"]]
        try:
            return self.call_function(node["value"], arguments)
        except JMESPathTypeError:
            if any(one is None for one in arguments):
                return None  # of nothing there is nothing to be said
            raise

    def call_function(self, name: str, arguments: list[Any]) -> Any:
        self.budget.charge(arguments)
        for one in arguments if name == "merge" else ():  # the library asks only for the first
            if not isinstance(one, Mapping):
                raise JMESPathTypeError(name, one, "", ["object"])
        return FUNCTIONS.call_function(name, arguments)


class StrictInterpreter(Interpreter):
    """JMESPath in which null is a value, and what is absent is missed where it is needed."""

    def operand(self, node: Node, value: Any) -> Any:
        """Raises MissingValue."""
        found = self.visit(node, value)
        if found is ABSENT:
            raise MissingValue("a part has no value")
        return found

    def visit_path(self, node: Any, value: Any) -> Any:
        found = get_path(node["value"], value)
        if found is ABSENT:
            self.last_absent_path = node["value"]
        return found

    def visit_or_expression(self, node: Any, value: Any) -> Any:
        first, second = node["children"]
        found = self._visit_or_absent(first, value)
        return found if is_truthy(found) else self.visit(second, value)

    def visit_and_expression(self, node: Any, value: Any) -> Any:
        first, second = node["children"]
        found = self.visit(first, value)
        return self.visit(second, value) if is_truthy(found) else found

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
        return [one for one in values if one is not None and one is not ABSENT]

    def visit_flatten(self, node: Any, value: Any) -> Any:
        found = super().visit_flatten(node, value)
        return ABSENT if found is None else found

    def visit_slice(self, node: Any, value: Any) -> Any:
        found = super().visit_slice(node, value)
        return ABSENT if found is None else found

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        name, children = node["value"], node["children"]
        part = self._visit_or_absent if name == "not_null" else self.operand
        found = self.call_function(name, [part(child, value) for child in children])
        return ABSENT if found is None else found

    def call_function(self, name: str, arguments: list[Any]) -> Any:
        return super().call_function(name, [None if one is ABSENT else one for one in arguments])

    def _visit_or_absent(self, node: Node, value: Any) -> Any:
        try:
            return self.visit(node, value)
        except MissingValue:
            return ABSENT


def describe_failure(error: Exception) -> str:
    """Return why an expression cannot be evaluated, in plain words."""
    match error:
        case ExpressionError():
            return str(error)
        case UnknownFunctionError():
            return "there is no such function"
        case ArityError():
            return f"{error.function_name} takes {counted(error.expected_arity, 'argument')}"
        case JMESPathTypeError():
            takes = " or ".join(TYPE_NAMES.get(one, one) for one in error.expected_types)
            given = _detailed_type_name(error.current_value)
            return f"{error.function_name} takes {takes}, and is given {given}"
        case NumberTooLong() | ArithmeticError():
            return NUMBER_TOO_LONG_MESSAGE
        case RecursionError():
            return "it nests too deep"
        case _:
            return "a function is given a value that it cannot work with"


def type_name(value: Json | Absent) -> str:
    """Return what `value` is in the words of messages."""
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
    """As `type_name`, with the kinds of what is in a list."""
    if not isinstance(value, list):
        return type_name(value)
    items = sorted({type_name(one) for one in value})
    return f"a list with {' and '.join(items)} in it" if items else "an empty list"


def _ordered_type(value: Any) -> type[Any] | None:
    """Return what values have an order among themselves, the same type for each such kind."""
    if isinstance(value, str):
        return str
    return int if is_number(value) else None


def _describe_comparison(operator: str, left: Any, right: Any) -> str:
    what = f"{type_name(left)} with {type_name(right)}"
    return f"{COMPARISON_SIGNS[operator]} compares two numbers or two texts, not {what}"
