"""The commands that a child saga takes from its parent only.

A parent drives its child while the parent is not at rest, or has counted the child as done. If an
operator ended the child then, the history of the parent would be wrong about it.
"""

from __future__ import annotations

from collections.abc import Collection

from ..errors import DrivenByParent
from ..inputs import Abandon, Cancel, Compensate, Input, ResolveStep, Resume, Retry, SkipStep
from ..machines import SagaStatus, StepStatus
from ..saga import Saga
from .decide import allowed_actions

VERB_BY_COMMAND: dict[type[Input], str] = {
    Abandon: "abandon",
    Cancel: "cancel",
    Compensate: "compensate",
    ResolveStep: "resolve",
    Resume: "resume",
    Retry: "retry",
    SkipStep: "skip",
}
ENDING_VERBS = frozenset({"abandon", "cancel", "compensate"})
UNPARKING_VERBS = frozenset({"resolve", "retry", "skip"})
NO_VERBS: Collection[str] = frozenset()
RELEASES_CHILDREN = frozenset({SagaStatus.ABANDONED, SagaStatus.COMPENSATED})


def depends_on_parent(saga: Saga, asked: Input) -> bool:
    """True if the parent decides whether `saga` may get this input."""
    return saga.state.parent is not None and type(asked) in VERB_BY_COMMAND


def require_not_driven(child: Saga, parent: Saga, asked: Input) -> None:
    """Raise DrivenByParent if only the parent may send this command now."""
    verb, driven = VERB_BY_COMMAND[type(asked)], driven_verbs(child, parent)
    if verb in driven:
        allowed = [verb for verb in allowed_actions(child) if verb not in driven]
        raise DrivenByParent(child.state.saga_id, verb, parent.state.saga_id, allowed)


def driven_verbs(child: Saga, parent: Saga) -> Collection[str]:
    """Return the verbs that only the parent may use now."""
    if not _is_driven(child, parent):
        return NO_VERBS
    parked, paused = child.state.status is SagaStatus.PARKED, parent.state.paused_at is not None
    if parked:
        return ENDING_VERBS | UNPARKING_VERBS if paused else ENDING_VERBS
    return ENDING_VERBS | ({"retry", "resume"} if paused else {"retry"})


def _is_driven(child: Saga, parent: Saga) -> bool:
    of = child.state.parent
    assert of is not None, "only a child has a parent"
    status, counted = parent.state.status, parent.status_of(of.step)
    if status in RELEASES_CHILDREN:
        return False
    if status is SagaStatus.PARKED:
        # A completed child that is still awaited is about to be counted as done.
        is_done = child.state.status is SagaStatus.COMPLETED and counted is StepStatus.WAITING
        return is_done or counted is StepStatus.SUCCEEDED
    return True
