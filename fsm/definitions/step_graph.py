"""The order of the steps of a definition: which run before which, and which after a pivot.

A step runs after the steps that its `after` names, and so after all that those run after: its
predecessors. Two steps are concurrent if neither is a predecessor of the other.

A pivot with a condition may be skipped, so only a pivot without one is sure to have succeeded for
the steps behind it. Those are the steps "after the pivot": they never have to be undone, and their
retries have no limit by default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


class StepGraph:
    """The order of steps, made of their direct predecessors and the pivots without a condition.

    `predecessors` and `after_pivot` are computed once. Cycles and unknown names are allowed: the
    parser reports them.
    """

    def __init__(
        self, after: Mapping[str, Collection[str]], certain_pivots: Collection[str]
    ) -> None:
        self.predecessors: dict[str, frozenset[str]] = {}
        for name in after:
            self.predecessors[name] = _predecessors(name, after, self.predecessors)
        pivots = frozenset(certain_pivots)
        self.after_pivot = frozenset(
            name for name, earlier in self.predecessors.items() if earlier & pivots
        )

    def concurrent_with(self, name: str) -> list[str]:
        """Return the steps that may run at the same time as step `name`."""
        return [other for other in self.predecessors if self.are_concurrent(name, other)]

    def are_concurrent(self, name: str, other: str) -> bool:
        """True if neither of two different steps is a predecessor of the other."""
        is_ordered = name in self.predecessors[other] or other in self.predecessors[name]
        return name != other and not is_ordered

    def in_cycles(self) -> list[str]:
        """Return the steps that can never run: those of a cycle, and those behind one."""
        cyclic = {name for name, earlier in self.predecessors.items() if name in earlier}
        return [
            name
            for name, earlier in self.predecessors.items()
            if name in cyclic or not cyclic.isdisjoint(earlier)
        ]


def _predecessors(
    name: str, after: Mapping[str, Collection[str]], known: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Return all predecessors of step `name`; `known` has those of some other steps."""
    predecessors: set[str] = set()
    pending = list(after[name])
    while pending:
        earlier = pending.pop()
        if earlier in predecessors:
            continue
        predecessors.add(earlier)
        if earlier in known:
            predecessors |= known[earlier]
        else:
            pending += after.get(earlier, ())
    return frozenset(predecessors)
