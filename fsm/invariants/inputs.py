"""Invariants of inputs that race or repeat: signals, callbacks, late replies (R6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from msgspec.structs import replace

from ..events import (
    CallbackReceived,
    CompensationStarted,
    LateReplyIgnored,
    SagaAbandoned,
    SignalReceived,
    StepConfirmedNotExecuted,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from ..formats.strict_json import Json
from ..state import SagaState
from ..step_state import UNTOUCHED
from .history import History
from .violation import Breach

INCONCLUSIVE = (StepUnknown, StepNotSent, StepConfirmedNotExecuted)


def signals_count_once(history: History) -> Iterator[Breach]:
    """A signal with a key is recorded once, and each signal completes one step, in their order."""
    keys = set[tuple[str, str]]()
    waiting: defaultdict[str, list[Json]] = defaultdict(list)
    for entry in history.entries:
        match entry.event:
            case SignalReceived(name=name, key=key, body=body):
                if key is not None and (name, key) in keys:
                    yield Breach(entry.version, f"{name} was recorded again under the key {key}")
                keys |= {(name, key)} if key is not None else set()
                waiting[name].append(body)
            case StepSucceeded(signal=str(name), output=output):
                if not waiting[name]:
                    yield Breach(entry.version, f"{entry} by a {name} that was not sent")
                elif waiting[name].pop(0) != output:
                    yield Breach(entry.version, f"{entry} by another {name} than the first")


def callbacks_decide(history: History) -> Iterator[Breach]:
    """Rule R6. An early callback decides if the reply to its call is inconclusive.

    Such a step never ends as unknown or not sent while the saga runs. No later status query finds
    that it was not executed, so that it could be called again: the callback came first.
    """
    if any(isinstance(entry.event, SagaAbandoned) for entry in history.entries):
        return
    early: set[str] = set()
    for entry in history.entries:
        match entry.event:
            case CompensationStarted():
                return
            case CallbackReceived(step=step):
                early.add(step)
            case event if isinstance(event, INCONCLUSIVE) and event.step in early:
                yield Breach(entry.version, f"{entry}, and a callback had reported its outcome")
            case StepSucceeded(step=step) | StepRejected(step=step):
                early.discard(step)
            case _:
                pass


def late_inputs_change_nothing(history: History) -> Iterator[Breach]:
    """Rule R6. Of two inputs that race, the second is recorded and changes nothing."""
    for entry in history.entries:
        if isinstance(entry.event, LateReplyIgnored):
            before = history.saga_at(entry.version - 1).state
            after = history.saga_at(entry.version).state
            step = entry.event.step
            if _comparable(before, step) != _comparable(after, step):
                yield Breach(entry.version, f"{entry} changed the saga")


def _comparable(state: SagaState, step: str) -> SagaState:
    """Return the state without its position.

    The end of a child that an abandon has cancelled is recorded as a late reply to its `step`, and
    no longer awaited then.
    """
    steps = {**state.steps, step: replace(state.step(step), child_cancelled=False)}
    touched = {name: other for name, other in steps.items() if other != UNTOUCHED}
    return replace(state, version=0, updated_at=state.created_at, steps=touched)
