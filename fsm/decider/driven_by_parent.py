"""The commands that a child saga takes from its parent only.

A parent drives its child while the parent is not at rest, or has counted the child as done. If an
operator ended the child then, the history of the parent would be wrong about it.
"""

from __future__ import annotations

from collections.abc import Collection

from ..errors import DrivenByParent
from ..inputs import (
    Abandon,
    BaseCommand,
    Cancel,
    Compensate,
    Input,
    ResolveStep,
    Resume,
    Retry,
    SkipStep,
)
from ..machines import SagaStatus, StepStatus
from ..saga import Saga
from .decide import allowed_actions

ENDING_VERBS = frozenset({Abandon.verb, Cancel.verb, Compensate.verb})
UNPARKING_VERBS = frozenset({ResolveStep.verb, Retry.verb, SkipStep.verb})
DRIVEN_VERBS = ENDING_VERBS | UNPARKING_VERBS | {Resume.verb}
NO_VERBS: Collection[str] = frozenset()
RELEASES_CHILDREN = frozenset({SagaStatus.ABANDONED, SagaStatus.COMPENSATED})


def depends_on_parent(saga: Saga, input_: Input) -> bool:
    """True if the parent decides whether `saga` may get this input."""
    is_driven = isinstance(input_, BaseCommand) and input_.verb in DRIVEN_VERBS
    return is_driven and saga.state.parent is not None


def require_not_driven(child: Saga, parent: Saga, command: Input) -> None:
    """Raise DrivenByParent if only the parent may send this command now."""
    assert isinstance(command, BaseCommand), "a parent drives its child by commands"
    driven = driven_verbs(child, parent)
    if command.verb in driven:
        allowed = [verb for verb in allowed_actions(child) if verb not in driven]
        raise DrivenByParent(child.state.saga_id, command.verb, parent.state.saga_id, allowed)


def driven_verbs(child: Saga, parent: Saga) -> Collection[str]:
    """Return the verbs that only the parent may use now."""
    if not _is_driven(child, parent):
        return NO_VERBS
    parked, paused = child.state.status is SagaStatus.PARKED, parent.state.paused_at is not None
    if parked:
        return ENDING_VERBS | UNPARKING_VERBS if paused else ENDING_VERBS
    return ENDING_VERBS | ({Retry.verb, Resume.verb} if paused else {Retry.verb})


def _is_driven(child: Saga, parent: Saga) -> bool:
    link = child.state.parent
    assert link is not None, "only a child has a parent"
    status, step_status = parent.state.status, parent.status_of(link.step)
    if status in RELEASES_CHILDREN:
        return False
    if status is SagaStatus.PARKED:
        # A completed child that is still awaited is about to be counted as done.
        is_done = child.state.status is SagaStatus.COMPLETED and step_status is StepStatus.WAITING
        return is_done or step_status is StepStatus.SUCCEEDED
    return True
