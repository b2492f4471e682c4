"""Each error is told to clients as a problem, or is named here as one that no client can cause."""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType
from typing import Final

import pytest
from saga_orchestrator.http.wire.problems import INTERNAL_ERROR, find_problem
from saga_orchestrator.tests.house.tree import PACKAGE, files

ERRORS: Final = [file for file in files() if file.endswith("/errors.py")]
FAMILIES: Final = {"EventStoreError", "SagaError", "OrchestratorError", "RequestRefused"}
# The shell turns what the log raises into its own refusals; whatever else comes up is our mistake.
INTERNAL: Final = {
    "AppendRefused", "CheckpointConflict", "ClaimFailed", "EmbeddedServerFailed", "Fenced",
    "UnsuitableDatabase", "LogTruncated", "InvalidCursor",
    "InvalidEvent", "InvalidStreamId", "LogOverloaded", "LogUnavailable",
    "MigrationRefused", "ValueRefused", "WrongExpectedVersion",
}  # fmt: skip


@pytest.mark.parametrize("file", ERRORS)
def test_every_error_is_a_problem_or_internal(file: str) -> None:
    untold = {
        name
        for name, kind in _errors(_module(file)).items()
        if find_problem(kind.__new__(kind)) is INTERNAL_ERROR
    }

    assert untold <= INTERNAL | FAMILIES


@pytest.mark.parametrize("file", ERRORS)
def test_error_tree_names_every_class(file: str) -> None:
    module = _module(file)

    drawn = re.findall(r"^\W*([A-Z]\w+(?:, [A-Z]\w+)*)(?:  |$)", module.__doc__ or "", re.MULTILINE)

    assert sorted(name for line in drawn for name in line.split(", ")) == sorted(_errors(module))


def test_internal_errors_exist() -> None:
    known = {name for file in ERRORS for name in _errors(_module(file))}

    assert known >= INTERNAL | FAMILIES


def _module(file: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{file.removesuffix('.py').replace('/', '.')}")


def _errors(module: ModuleType) -> dict[str, type[Exception]]:
    return {
        name: kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__
    }
