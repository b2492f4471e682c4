"""The verbs of a child saga that are its parent's to ask for.

A child belongs to its parent while that is not at rest, or has counted it as done. To end the child
then would leave the parent with a step that is not what its history says.
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
    """True if the parent must be looked at before this happens to `saga`."""
    return saga.state.parent is not None and type(asked) in VERB_BY_COMMAND


def require_not_driven(child: Saga, parent: Saga, asked: Input) -> None:
    """Raise DrivenByParent if `asked` is the parent's to ask for now."""
    verb, driven = VERB_BY_COMMAND[type(asked)], driven_verbs(child, parent)
    if verb in driven:
        left = [one for one in allowed_actions(child) if one not in driven]
        raise DrivenByParent(child.state.saga_id, verb, parent.state.saga_id, left)


def driven_verbs(child: Saga, parent: Saga) -> Collection[str]:
    """Return the verbs that are the parent's to ask for now."""
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
        # One that is completed and waited for is about to be counted.
        is_done = child.state.status is SagaStatus.COMPLETED and counted is StepStatus.WAITING
        return is_done or counted is StepStatus.SUCCEEDED
    return True
