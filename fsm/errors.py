"""What the core refuses.

SagaError
├── NotAllowed            a verb that is not legal now; carries those that are
│   ├── WouldParkAgain    a verb after which the saga would rest for the same cause
│   ├── NotCompensatable  a manual compensation that is not
│   ├── TooManySignals    more of one name than are kept
│   ├── ChildrenUnderWay  an abandon that does not say what becomes of them; carries their ids
│   └── DrivenByParent    a verb that is the parent's to ask for; carries its id
├── StepNotFound          a step that the definition has not
├── UnknownSignal         a signal that no step waits for; carries those that are waited for
└── CorruptStream         a history that no machine can have produced
"""

from __future__ import annotations

from collections.abc import Sequence


class SagaError(Exception):
    """Whatever the core refuses."""


class NotAllowed(SagaError):
    """`allowed_actions`, and `possible`: what to ask for instead, are filled in by `decide`."""

    def __init__(
        self, saga_id: str, verb: str, why: str, allowed_actions: Sequence[str] = ()
    ) -> None:
        super().__init__(saga_id, verb, why)
        self.saga_id, self.verb, self.why = saga_id, verb, why
        self.allowed_actions = tuple(allowed_actions)
        self.possible: tuple[str, ...] = ()

    def __str__(self) -> str:
        possible = f" (possible now: {'; '.join(self.possible)})" if self.possible else ""
        return f"{self.verb} of saga {self.saga_id} is not possible{possible}: {self.why}"


class WouldParkAgain(NotAllowed):
    pass


class NotCompensatable(NotAllowed):
    pass


class TooManySignals(NotAllowed):
    pass


class ChildrenUnderWay(NotAllowed):
    def __init__(self, saga_id: str, children: Sequence[str]) -> None:
        why = f"{', '.join(children)} under way; say whether to leave or to cancel the children"
        super().__init__(saga_id, "abandon", why)
        self.children = tuple(children)


class DrivenByParent(NotAllowed):
    def __init__(
        self, saga_id: str, verb: str, parent: str, allowed_actions: Sequence[str]
    ) -> None:
        why = f"it is a step of saga {parent}, which decides that; ask it of the parent"
        super().__init__(saga_id, verb, why, allowed_actions)
        self.parent = parent


class StepNotFound(SagaError):
    def __init__(self, saga_id: str, step: str) -> None:
        super().__init__(f"saga {saga_id} has no step {step[:80]!r}")
        self.saga_id, self.step = saga_id, step


class UnknownSignal(SagaError):
    def __init__(self, saga_id: str, name: str, known: Sequence[str]) -> None:
        waited_for = f"it waits for {', '.join(known)}" if known else "it waits for none"
        super().__init__(f"no step of saga {saga_id} waits for {name[:80]!r}; {waited_for}")
        self.saga_id, self.known = saga_id, tuple(known)


class CorruptStream(SagaError):
    def __init__(self, saga_id: str, version: int, why: str) -> None:
        super().__init__(f"saga {saga_id} is corrupt at version {version}: {why}")
        self.saga_id, self.version = saga_id, version
