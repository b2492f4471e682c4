"""Sagas that start each other without end, and children that are not defined.

Each saga of such a circle starts the next one before it can end. A condition on one of the steps
may end it; how deep sagas then nest is bounded when they run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence

from ...formats.wording import did_you_mean
from ..definition import Child, Definition, Step
from ..findings import Finding, error, warning
from .context import constant_condition

MAX_NAMED = 6  # of a circle, in its finding


def check_endless_children(
    definition: Definition, others: Collection[Definition]
) -> Iterator[Finding]:
    """Find the steps by which a saga of `definition` starts another one of it, and that another.

    A child without a version is the newest one of `others` and `definition`.
    """
    if not any(map(_certain_child, definition.steps)):
        return
    family = _ChildGraph(definition, others)
    for number, step in enumerate(definition.steps):
        if (child := _certain_child(step)) and (circle := family.cycle(child)):
            yield error("endless-children", f"/steps/{number}/saga/type", _describe_cycle(circle))


def check_child(step: Step, at: str, known: Collection[Definition]) -> Iterator[Finding]:
    """Find a child saga that is not defined, or not in the version that is named."""
    if step.child is None:
        return
    name, version = step.child.saga_type, step.child.version
    versions = {one.version for one in known if one.name == name}
    if not versions:
        names = sorted({one.name for one in known})
        detail = f"no saga {name} is defined: register it first, or correct the name"
        yield warning("unknown-saga", f"{at}/saga/type", f"{detail}{did_you_mean(name, names)}")
    elif version is not None and version not in versions:
        detail = f"{name} has no version {version}: register it first, or correct the number"
        yield warning("unknown-saga", f"{at}/saga/version", detail)


class _ChildGraph:
    """Definitions, and which of them each saga starts whatever its data are."""

    def __init__(self, root: Definition, others: Collection[Definition]) -> None:
        self.root = root
        self.versions: dict[str, dict[int, Definition]] = {}
        for one in (*others, root):
            self.versions.setdefault(one.name, {})[one.version] = one

    def cycle(self, first: Child) -> Sequence[Definition]:
        """The shortest way from `first` back to the root, with the root at both ends, or none."""
        ways: deque[tuple[Definition, ...]] = deque()
        ways.extend((self.root, one) for one in self._started(first))
        seen: set[Definition] = set()
        while ways:
            way = ways.popleft()
            last = way[-1]
            if last is self.root:
                return way
            if last not in seen:
                seen.add(last)
                ways.extend((*way, one) for one in self._children(last))
        return ()

    def _children(self, definition: Definition) -> Iterator[Definition]:
        for step in definition.steps:
            if child := _certain_child(step):
                yield from self._started(child)

    def _started(self, child: Child) -> Iterator[Definition]:
        versions = self.versions.get(child.saga_type, {})
        version = child.version or max(versions, default=0)
        if version in versions:
            yield versions[version]


def _certain_child(step: Step) -> Child | None:
    """The child that it starts whenever its turn comes."""
    return step.child if step.when is None or constant_condition(step) else None


def _describe_cycle(circle: Sequence[Definition]) -> str:
    first, *others = (f"{one.name} version {one.version}" for one in circle)
    if len(others) > MAX_NAMED:
        others[2:-2] = [f"{len(others) - 4} others"]
    return (
        f"{first} starts {', which starts '.join(others)}, and so on without end:"
        " put a condition (when) on one of these steps, or start another saga"
    )
