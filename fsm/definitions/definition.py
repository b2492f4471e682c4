"""A definition as the core uses it: parsed, checked, and with every default filled in.

A definition never changes once it is registered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from ..expressions.expression import Expression
from ..expressions.template import Template, Text, steps_read
from .input_schema import InputSchema
from .retry import RetryPolicy
from .step_graph import StepGraph


class OnFailure(StrEnum):
    """The reaction to a compensation that fails for good."""

    PARK = "park"  # at once
    CONTINUE = "continue"  # compensate the other steps first, then park


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a participant, with its limits. `timeout` bounds each attempt as a whole.

    `steps_read` are the steps whose outputs or keys the request reads, or None if they may be any.
    """

    method: str
    path: Text
    body: Template | None
    headers: tuple[tuple[str, Text], ...]
    timeout: timedelta
    retry: RetryPolicy
    steps_read: Collection[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps_read", steps_read(self.templates))

    @property
    def templates(self) -> Sequence[Template]:
        """The path, the body and the headers of the request."""
        body = [] if self.body is None else [self.body]
        return [self.path, *body, *(value for _, value in self.headers)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation(Call):
    done_on: frozenset[int] = frozenset()
    on_failure: OnFailure = OnFailure.PARK


class OnTimeout(StrEnum):
    """The reaction to a signal that does not arrive in time."""

    REJECT = "reject"
    PARK = "park"


class Completion(StrEnum):
    """The way to complete a step whose action was only accepted (202)."""

    CALLBACK = "callback"
    POLL = "poll"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFor:
    signal: str
    timeout: timedelta
    on_timeout: OnTimeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child saga. Without a `version`, the newest version at the time of its start."""

    saga_type: str
    version: int | None
    input: Template | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `after` names the steps it runs after; `when` is the condition for running at all;
    `status` queries the outcome of the action; without `output` the whole reply is kept."""

    name: str
    after: tuple[str, ...]
    participant: str = ""
    action: Call | None = None
    compensation: Compensation | None = None
    sleep: timedelta | None = None
    wait_for: WaitFor | None = None
    child: Child | None = None
    pivot: bool = False
    undone_by: str | None = None
    has_effect: bool = True
    compensate_on_reject: bool = False
    output: Template | None = None
    when: Expression | None = None
    status: Call | None = None
    completion: Completion | None = None
    completion_timeout: timedelta = timedelta()

    @property
    def is_compensatable(self) -> bool:
        """True if the step has a compensation, or is a child saga, which compensates itself."""
        return self.compensation is not None or self.child is not None

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy of the action."""
        assert self.action is not None, f"{self.name} calls no participant"
        return self.action.retry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Definition:
    """One version of a saga type. Equal only to itself.

    `source` is the document as canonical JSON. Without an `input` schema a start accepts any input.
    `graph` is the order of the steps; `is_sequential` is true if each runs after the one before it.
    `implied_compensations` are the steps that another step's compensation undoes, each with the
    name of that step; `children` the steps that are child sagas; `signals` the names that steps
    wait for; `participants` the participants that steps call.
    """

    name: str
    version: int
    deadline: timedelta | None
    steps: tuple[Step, ...]
    source: bytes
    input: InputSchema | None = None
    by_name: Mapping[str, Step] = field(init=False, repr=False)
    graph: StepGraph = field(init=False, repr=False)
    implied_compensations: tuple[tuple[Step, str], ...] = field(init=False, repr=False)
    children: tuple[Step, ...] = field(init=False, repr=False)
    pivots: tuple[str, ...] = field(init=False, repr=False)
    signals: frozenset[str] = field(init=False, repr=False)
    participants: frozenset[str] = field(init=False, repr=False)
    is_sequential: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {step.name: step for step in self.steps})
        after = {step.name: step.after for step in self.steps}
        certain_pivots = {step.name for step in self.steps if step.pivot and step.when is None}
        object.__setattr__(self, "graph", StepGraph(after, certain_pivots))
        implied = [(step, step.undone_by) for step in self.steps if step.undone_by is not None]
        object.__setattr__(self, "implied_compensations", tuple(implied))
        children = tuple(step for step in self.steps if step.child is not None)
        object.__setattr__(self, "children", children)
        pivots = tuple(step.name for step in self.steps if step.pivot)
        object.__setattr__(self, "pivots", pivots)
        waits = (step.wait_for for step in self.steps)
        signals = frozenset(wait.signal for wait in waits if wait is not None)
        object.__setattr__(self, "signals", signals)
        participants = frozenset(step.participant for step in self.steps if step.participant)
        object.__setattr__(self, "participants", participants)
        sequence = [(), *((step.name,) for step in self.steps[:-1])]
        is_sequential = [step.after for step in self.steps] == sequence
        object.__setattr__(self, "is_sequential", is_sequential)

    def __getitem__(self, name: str) -> Step:
        return self.by_name[name]

    def compensated_with(self, name: str) -> tuple[Step, ...]:
        """Return the other steps that the compensation of step `name` undoes."""
        return tuple(step for step, by in self.implied_compensations if by == name)

    def predecessors(self, name: str) -> frozenset[str]:
        """Return the steps that step `name` runs after, directly or not."""
        return self.graph.predecessors[name]
