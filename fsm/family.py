"""What of a child saga is decided by its parent.

A child belongs to its parent while that is not at rest, or has counted it as done. What is asked of
it behind the parent's back would leave the parent with a step that is not what it was told.
"""

from __future__ import annotations

from collections.abc import Collection

from .errors import DrivenByParent
from .happening import (
    AbandonAsked,
    CancelAsked,
    CompensationAsked,
    Happening,
    ResolveAsked,
    ResumeAsked,
    RetryAsked,
)
from .machines import SagaStatus, StepStatus
from .saga import Saga

NAMES: dict[type[Happening], str] = {
    AbandonAsked: "abandon",
    CancelAsked: "cancel",
    CompensationAsked: "compensate",
    ResolveAsked: "resolve",
    ResumeAsked: "resume",
    RetryAsked: "retry",
}
ENDS = frozenset({"abandon", "cancel", "compensate"})
GOES_ON = frozenset({"resolve", "resume", "retry"})
NOTHING: Collection[str] = frozenset()
OUT_OF_HAND = frozenset({SagaStatus.ABANDONED, SagaStatus.COMPENSATED})


def depends_on_parent(saga: Saga, asked: Happening) -> bool:
    """Whether the parent must be looked at before this happens to `saga`."""
    return saga.state.parent is not None and type(asked) in NAMES


def demand_free(child: Saga, parent: Saga, asked: Happening, allowed: Collection[str]) -> None:
    """`allowed` are the verbs that the child alone would allow. Raises DrivenByParent."""
    verb = NAMES[type(asked)]
    driven = driven_verbs(child, parent)
    if verb in driven:
        left = [one for one in allowed if one not in driven]
        saga_id = child.state.saga_id
        raise DrivenByParent(saga_id, verb, parent.state.saga_id, left)


def driven_verbs(child: Saga, parent: Saga) -> Collection[str]:
    """The verbs that are the parent's to ask for now."""
    if not _is_driven(child, parent):
        return NOTHING
    if parent.state.paused_at is not None:
        return ENDS | GOES_ON
    return ENDS if child.state.status is SagaStatus.PARKED else ENDS | {"retry"}


def _is_driven(child: Saga, parent: Saga) -> bool:
    of = child.state.parent
    assert of is not None, "only a child has a parent"
    status, counted = parent.state.status, parent.status_of(of.step)
    if status in OUT_OF_HAND:
        return False
    if status is SagaStatus.PARKED:
        # One that is completed and waited for is about to be counted.
        is_done = child.state.status is SagaStatus.COMPLETED and counted is StepStatus.WAITING
        return is_done or counted is StepStatus.SUCCEEDED
    return True
