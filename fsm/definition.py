"""A definition as the core uses it: checked, parsed, with every default filled in.

`language.py` makes these from what people write. A definition never changes once it is registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from .expression import Expression
from .retry import RetryPolicy
from .template import Template, Text


class OnFailure(StrEnum):
    """What follows when a compensation fails for good."""

    PARK = "park"  # stop there
    CONTINUE = "continue"  # undo the others, then park


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a participant, with its limits. `timeout` bounds each attempt as a whole."""

    method: str
    path: Text
    body: Template | None
    headers: tuple[tuple[str, Text], ...]
    timeout: timedelta
    retry: RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation(Call):
    done_on: frozenset[int] = frozenset()
    on_failure: OnFailure = OnFailure.PARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`after` names the steps that must be done first; without `output` the whole reply is kept.

    `when` is the condition without which it is skipped. `status` asks what became of the action.
    """

    name: str
    participant: str
    action: Call
    compensation: Compensation | None
    after: tuple[str, ...]
    pivot: bool = False
    undone_by: str | None = None
    has_effect: bool = True
    compensate_on_reject: bool = False
    output: Template | None = None
    when: Expression | None = None
    status: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Definition:
    """`source` is the document it came from, as canonical JSON. Equal only to itself."""

    name: str
    version: int
    deadline: timedelta | None
    steps: tuple[Step, ...]
    source: bytes
    by_name: Mapping[str, Step] = field(init=False, repr=False)
    pivots: tuple[str, ...] = field(init=False, repr=False)
    after_pivot: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {step.name: step for step in self.steps})
        pivots = tuple(step.name for step in self.steps if step.pivot)
        object.__setattr__(self, "pivots", pivots)
        object.__setattr__(self, "after_pivot", frozenset(self._after_pivot()))

    def __getitem__(self, name: str) -> Step:
        return self.by_name[name]

    def covered_by(self, name: str) -> tuple[Step, ...]:
        """The steps that the compensation of `name` undoes too."""
        return tuple(step for step in self.steps if step.undone_by == name)

    def _after_pivot(self) -> set[str]:
        """Steps that run only once a pivot was passed; they stand in an order they can run in.

        A pivot with a condition may be skipped, and is not passed then.
        """
        sure = {step.name for step in self.steps if step.pivot and step.when is None}
        reached: set[str] = set()
        for step in self.steps:
            if any(one in reached or one in sure for one in step.after):
                reached.add(step.name)
        return reached
