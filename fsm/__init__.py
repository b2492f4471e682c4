"""The pure core: what a definition means, what a history says, and what follows from both.

    decide, start       what follows from an input: events, calls, instructions to child sagas
    evolve, replay      what events fold into
    Saga                a definition and the state of one saga; its status, and those of its steps

Nothing here waits, calls, reads a clock or draws a number. Time, randomness and ids are arguments.
The names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .decider.decide import decide, start
    from .events import Event
    from .inputs import Input
    from .machines import SagaStatus, StepStatus
    from .saga import Saga, replay
    from .state import evolve

__all__ = [
    "Event",
    "Input",
    "Saga",
    "SagaStatus",
    "StepStatus",
    "decide",
    "evolve",
    "replay",
    "start",
]

MODULES: Final = {
    "Event": "events",
    "Input": "inputs",
    "Saga": "saga",
    "SagaStatus": "machines",
    "StepStatus": "machines",
    "decide": "decider.decide",
    "evolve": "state",
    "replay": "saga",
    "start": "decider.decide",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{MODULES[name]}", __name__), name)
