"""The public names: `__all__` of a package lists them, and each of them can be imported."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from types import ModuleType
from typing import Final

import pytest
import saga_orchestrator
from saga_orchestrator.tests.house.tree import ROOT

FACES: Final = (
    "saga_orchestrator",
    "saga_orchestrator.eventstore",
    "saga_orchestrator.eventstore.cluster",
    "saga_orchestrator.eventstore.postgres",
    "saga_orchestrator.fsm",
    "saga_orchestrator.fsm.invariants",
    "saga_orchestrator.fsm.testing",
    "saga_orchestrator.testing",
)
HEAVY: Final = ("starlette", "uvicorn", "httpx", "psycopg", "hypothesis", "pytest")


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(request.param)


def test_public_names_can_be_imported(face: ModuleType) -> None:
    missing = [name for name in face.__all__ if not hasattr(face, name)]

    assert missing == []


def test_names_that_a_face_imports_lazily_are_public(face: ModuleType) -> None:
    lazy = set(getattr(face, "MODULES", {}))

    assert lazy <= set(face.__all__)


def test_unknown_name_is_an_attribute_error(face: ModuleType) -> None:
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = face.unknown


def test_kit_exports_all_of_the_testing_room() -> None:
    room = import_module("saga_orchestrator.fsm.testing")
    kit = import_module("saga_orchestrator.testing")

    assert set(kit.__all__) == {*room.__all__, "invariants", "strategies"}
    assert all(getattr(kit, name) is getattr(room, name) for name in room.__all__)


def test_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert saga_orchestrator.__version__ == project["version"]


@pytest.mark.parametrize("module", ["saga_orchestrator", "saga_orchestrator.testing"])
def test_import_of_a_face_loads_neither_server_nor_test_tools(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    assert [name for name in HEAVY if name in loaded] == []
