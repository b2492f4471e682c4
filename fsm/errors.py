"""The refusals of the core.

SagaError
├── NotAllowed            a command that is not legal now; carries the verbs that are
│   ├── WouldParkAgain    a command after which the saga would park for the same cause
│   ├── NotCompensatable  a compensation that is not legal now
│   ├── TooManySignals    more signals of one name than are buffered
│   ├── ChildrenUnderWay  an abandon without a policy for active child sagas; carries their ids
│   └── DrivenByParent    a command that only the parent saga may get; carries its id
├── StepNotFound          a step that the definition does not have
├── UnknownSignal         a signal that no step waits for; carries the known ones
└── CorruptStream         a history that no machine can have produced
"""

from __future__ import annotations

from collections.abc import Sequence


class SagaError(Exception):
    """A refusal of the core."""


class NotAllowed(SagaError):
    """A command that is not legal now. `decide` fills in `allowed_actions`, and in `possible` the
    commands to send instead."""

    def __init__(
        self,
        saga_id: str,
        verb: str,
        reason: str,
        allowed_actions: Sequence[str] = (),
        *,
        possible: Sequence[str] = (),
    ) -> None:
        super().__init__(saga_id, verb, reason)
        self.saga_id, self.verb, self.reason = saga_id, verb, reason
        self.allowed_actions, self.possible = tuple(allowed_actions), tuple(possible)

    def __str__(self) -> str:
        possible = f" (possible now: {'; '.join(self.possible)})" if self.possible else ""
        return f"{self.verb} of saga {self.saga_id} is not possible{possible}: {self.reason}"


class WouldParkAgain(NotAllowed):
    pass


class NotCompensatable(NotAllowed):
    pass


class TooManySignals(NotAllowed):
    pass


class ChildrenUnderWay(NotAllowed):
    def __init__(self, saga_id: str, children: Sequence[str]) -> None:
        reason = (
            f"{', '.join(children)} in progress: say whether to leave or to cancel the children"
        )
        super().__init__(saga_id, "abandon", reason)
        self.children = tuple(children)


class DrivenByParent(NotAllowed):
    def __init__(
        self, saga_id: str, verb: str, parent: str, allowed_actions: Sequence[str]
    ) -> None:
        reason = (
            f"it is a step of saga {parent}, which decides that: send the command to the parent"
        )
        super().__init__(saga_id, verb, reason, allowed_actions)
        self.parent = parent


class StepNotFound(SagaError):
    def __init__(self, saga_id: str, step: str) -> None:
        super().__init__(f"saga {saga_id} has no step {step[:80]!r}")
        self.saga_id, self.step = saga_id, step


class UnknownSignal(SagaError):
    def __init__(self, saga_id: str, name: str, known: Sequence[str]) -> None:
        waited_for = f"it waits for {', '.join(known)}" if known else "it waits for none"
        super().__init__(f"no step of saga {saga_id} waits for {name[:80]!r}; {waited_for}")
        self.saga_id, self.name, self.known = saga_id, name, tuple(known)


class CorruptStream(SagaError):
    def __init__(self, saga_id: str, version: int, reason: str) -> None:
        super().__init__(f"saga {saga_id} is corrupt at version {version}: {reason}")
        self.saga_id, self.version, self.reason = saga_id, version, reason
