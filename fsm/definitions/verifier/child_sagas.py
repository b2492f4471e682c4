"""Check the child sagas: those that are not defined, and cycles of sagas that start each other.

Each saga of a cycle starts the next one before it can end. A condition on one of the steps may end
the cycle; the depth of nesting is then bounded at run time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence

from ...formats.wording import did_you_mean
from ..definition import Child, Definition, Step
from ..findings import Finding, error, warning
from .context import constant_condition

MAX_NAMED = 6  # sagas of a cycle that its finding names


def check_endless_children(
    definition: Definition, others: Collection[Definition]
) -> Iterator[Finding]:
    """Find the steps through which each saga of `definition` starts another saga of `definition`.

    A child without a version is the newest version among `others` and `definition`.
    """
    if not any(map(_certain_child, definition.steps)):
        return
    family = _ChildGraph(definition, others)
    for number, step in enumerate(definition.steps):
        if (child := _certain_child(step)) and (circle := family.cycle(child)):
            yield error("endless-children", f"/steps/{number}/saga/type", _describe_cycle(circle))


def check_child(step: Step, at: str, known: Collection[Definition]) -> Iterator[Finding]:
    """Warn of a child saga that is not defined, or not in the version that the step names."""
    if step.child is None:
        return
    name, version = step.child.saga_type, step.child.version
    versions = {definition.version for definition in known if definition.name == name}
    if not versions:
        names = sorted({definition.name for definition in known})
        detail = f"no saga {name} is defined: register it first, or correct the name"
        yield warning("unknown-saga", f"{at}/saga/type", f"{detail}{did_you_mean(name, names)}")
    elif version is not None and version not in versions:
        detail = f"{name} has no version {version}: register it first, or correct the number"
        yield warning("unknown-saga", f"{at}/saga/version", detail)


class _ChildGraph:
    """The definitions, and the child sagas that each of them starts unconditionally."""

    def __init__(self, root: Definition, others: Collection[Definition]) -> None:
        self.root = root
        self.versions: dict[str, dict[int, Definition]] = {}
        for definition in (*others, root):
            versions = self.versions.setdefault(definition.name, {})
            versions[definition.version] = definition

    def cycle(self, first: Child) -> Sequence[Definition]:
        """Return the shortest cycle through `first`, with the root at both ends, or ()."""
        paths: deque[tuple[Definition, ...]] = deque()
        paths.extend((self.root, child) for child in self._started(first))
        seen: set[Definition] = set()
        while paths:
            path = paths.popleft()
            last = path[-1]
            if last is self.root:
                return path
            if last not in seen:
                seen.add(last)
                paths.extend((*path, child) for child in self._children(last))
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
    """Return the child saga that `step` starts unconditionally, if any."""
    return step.child if step.when is None or constant_condition(step) else None


def _describe_cycle(cycle: Sequence[Definition]) -> str:
    first, *others = (f"{definition.name} version {definition.version}" for definition in cycle)
    if len(others) > MAX_NAMED:
        others[2:-2] = [f"{len(others) - 4} others"]
    return (
        f"{first} starts {', which starts '.join(others)}, and so on without end:"
        " put a condition (when) on one of these steps, or start another saga"
    )
