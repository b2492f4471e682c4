"""Saga Orchestrator: distributed transactions across HTTP services, over an event log.

    Definition, parse_definition, verify, Finding    what a definition says, and its mistakes
    Settings, open_service, Orchestrator             a service inside another program

`saga_orchestrator.fsm` has the pure rules, `saga_orchestrator.testing` the tools for testing
definitions and sagas. The names are imported when they are first used, so that a program that needs
only the rules loads no server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .fsm.definitions.definition import Definition
    from .fsm.definitions.findings import Finding
    from .fsm.definitions.parser import parse_definition
    from .fsm.definitions.verifier import verify
    from .fsm.runtime.orchestrator import Orchestrator
    from .settings import Settings
    from .wiring import open_service

__all__ = [
    "Definition",
    "Finding",
    "Orchestrator",
    "Settings",
    "__version__",
    "open_service",
    "parse_definition",
    "verify",
]
__version__ = "0.1.0"

MODULES: Final = {
    "Definition": "fsm.definitions.definition",
    "Finding": "fsm.definitions.findings",
    "Orchestrator": "fsm.runtime.orchestrator",
    "Settings": "settings",
    "open_service": "wiring",
    "parse_definition": "fsm.definitions.parser",
    "verify": "fsm.definitions.verifier",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{MODULES[name]}", __name__), name)
