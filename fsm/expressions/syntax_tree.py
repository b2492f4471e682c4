"""The syntax tree of an expression, as JMESPath's parser makes it, and the paths that it reads.

A node is a mapping of `type`, `children` and, for some types, `value`. Each plain path,
`steps.a.output`, is made a single node of type `path`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..formats.json_path import Path

Node: TypeAlias = Mapping[str, Any]

CHAINS = {"subexpression", "index_expression"}
# The children of these nodes after the first are evaluated on its result, not on the scope.
RELATIVE = CHAINS | {"pipe", "projection", "value_projection", "filter_projection", "flatten"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A path of the scope that an expression reads; `optional` if it has a fallback."""

    path: Path
    optional: bool = False

    @property
    def step(self) -> str | None:
        """The step whose output is read, or None."""
        if len(self.path) > 2 and self.path[0] == "steps" and self.path[2] == "output":
            return str(self.path[1])
        return None


def children(node: Node) -> list[Node]:
    return [child for child in node["children"] if isinstance(child, Mapping)]


def nodes(tree: Node) -> Iterator[tuple[int, Node]]:
    """Yield each node with its depth, without recursion: an expression may nest deeply."""
    pending = [(1, tree)]
    while pending:
        depth, node = pending.pop()
        yield depth, node
        pending += [(depth + 1, child) for child in children(node)]


def reads_scope(node: Node) -> bool:
    """True if `node` reads a value of the scope."""
    return node["type"] in ("path", "current", "identity")


def plain_path(node: Node) -> Path | None:
    """Return the path that `node` is, or None if it is more than a path."""
    match node["type"]:
        case "path":
            path: Path = node["value"]
            return path
        case "field" | "index":
            return (node["value"],)
        case "subexpression" | "index_expression":
            paths = [plain_path(child) for child in node["children"]]
            if any(path is None for path in paths):
                return None
            return tuple(key for path in paths if path for key in path)
        case _:
            return None


def with_path_nodes(node: Node) -> Node:
    """Return the tree with a single node, `path`, for each plain path in it.

    An expression that a function evaluates for each element, `&x`, becomes a node `needed`.
    """
    if (path := plain_path(node)) is not None:
        return {"type": "path", "value": path, "children": []}
    children = [
        with_path_nodes(child) if isinstance(child, Mapping) else child
        for child in node["children"]
    ]
    if node["type"] == "expref":
        children = [{"type": "needed", "value": None, "children": children}]
    return {**node, "children": children}


def references(node: Node, *, optional: bool = False) -> Iterator[Reference]:
    """Yield the paths of the scope that `node` reads."""
    if path := leading_path(node):
        yield Reference(path, optional)
        return
    if node["type"] == "expref":  # evaluated on an element, not on the scope
        return
    operands = children(node)
    is_fallback = node["type"] == "function_expression" and node["value"] == "not_null"
    if node["type"] == "or_expression" or (is_fallback and operands):
        for operand in operands[:-1]:
            yield from references(operand, optional=True)
        yield from references(operands[-1], optional=optional)
        return
    for operand in operands[:1] if node["type"] in RELATIVE else operands:
        yield from references(operand, optional=optional)


def leading_path(node: Node) -> Path:
    """Return the plain path that `node` follows before it does anything else."""
    if (path := plain_path(node)) is not None:
        return path
    if node["type"] not in RELATIVE:
        return ()
    first, *others = node["children"]
    path = leading_path(first)
    for other in others if node["type"] in CHAINS else ():
        if plain_path(first) is None:
            break
        path, first = path + leading_path(other), other
    return path
