"""Tools for testing definitions and sagas: scenarios, replies, a simulated process, invariants.

    from saga_orchestrator.testing import DONE, action_answer, define, given

`strategies`, for Hypothesis, is imported when it is first used; `saga-orchestrator[testing]`
installs what it needs. `saga_orchestrator.fsm.testing` describes each of the tools.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from .fsm import invariants
from .fsm import testing as kit
from .fsm.testing import *  # noqa: F403 - the list is kept there

if TYPE_CHECKING:
    from .fsm.testing import strategies

__all__ = ["invariants", "strategies"]
__all__ += kit.__all__


def __getattr__(name: str) -> ModuleType:
    """Import the strategies, and Hypothesis with them, when they are first used."""
    if name != "strategies":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(".fsm.testing.strategies", __package__)
