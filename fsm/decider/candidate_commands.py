"""Commands to try: which verbs would have an effect, and what to do instead of a refused one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..events import Resolution
from ..inputs import (
    Abandon,
    Cancel,
    ChildPolicy,
    Compensate,
    Input,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
)
from ..machines import StepStatus
from ..saga import Saga
from .refusals import REFUSAL_REASONS

MAX_SUGGESTIONS = 5  # in a refusal


def candidate_commands(saga: Saga) -> Iterator[tuple[str, Iterable[OperatorCommand]]]:
    """Yield for each verb the commands to try, none for a verb that no step can get."""
    yield "compensate", [Compensate()]
    yield "cancel", [Cancel()]
    yield "retry", _if_possible(saga, "retry", _retries)
    yield "pause", [Pause()]
    yield "resume", [Resume()]
    yield "abandon", [Abandon(reason="tried", children=ChildPolicy.LEAVE)]
    yield "skip", _if_possible(saga, "skip", _skips)
    yield "resolve", _if_possible(saga, "resolve", _resolutions)
    yield "signal", [SendSignal(name=name) for name in saga.definition.signals]


def alternatives_to(command: Input, saga: Saga) -> Iterator[OperatorCommand]:
    """Yield commands to suggest instead of a retry or resolve that a parked saga refuses."""
    match command:
        case Retry():
            yield from _retries(saga)
            yield from _resolutions(saga)
        case ResolveStep(step=step):
            yield from sorted(_resolutions(saga), key=lambda resolution: resolution.step != step)


def describe(saga: Saga, commands: Iterable[OperatorCommand]) -> tuple[str, ...]:
    """Describe commands in the words of their requests; at most MAX_SUGGESTIONS of them."""
    outcomes_by_request: dict[str, list[str]] = {}
    for command in commands:
        match command:
            case Retry(step=None):
                outcomes_by_request["retry"] = []
            case Retry(step=step):
                outcomes_by_request[f'retry with {{"step": "{step}"}}'] = []
            case ResolveStep(step=step, verdict=verdict):
                is_done = saga.status_of(step) is StepStatus.SUCCEEDED
                supplies = is_done and verdict is Resolution.DONE
                outcome = f"{verdict} and its output" if supplies else verdict
                request = f"resolve of {step} with outcome"
                outcomes_by_request.setdefault(request, []).append(outcome)
    descriptions = [
        f"{request} {' or '.join(outcomes)}".rstrip()
        for request, outcomes in outcomes_by_request.items()
    ]
    return tuple(descriptions[:MAX_SUGGESTIONS])


def _if_possible(
    saga: Saga, verb: str, commands: Callable[[Saga], Iterator[OperatorCommand]]
) -> Iterable[OperatorCommand]:
    return commands(saga) if REFUSAL_REASONS[verb](saga) is None else ()


def _retries(saga: Saga) -> Iterator[Retry]:
    yield Retry()
    for step in saga.definition.steps:
        yield Retry(step=step.name)


def _skips(saga: Saga) -> Iterator[OperatorCommand]:
    for step in saga.steps_in(StepStatus.PENDING):
        yield SkipStep(step=step.name)


def _resolutions(saga: Saga) -> Iterator[ResolveStep]:
    for step, state in saga.steps:
        output = state.output or {}
        for verdict in Resolution:
            yield ResolveStep(step=step.name, verdict=verdict, evidence="tried", output=output)
