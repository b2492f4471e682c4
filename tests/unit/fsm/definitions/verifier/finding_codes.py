"""The codes of findings, and their severities, as the source has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from saga_orchestrator.fsm.definitions.findings import Severity

ROOT = Path(__file__).parents[5]
FILES = (
    "fsm/definitions/verifier/*.py",
    "fsm/definitions/parser.py",
    "commands/definitions.py",
    "http/api/definitions.py",
)
MAKERS = {
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "_add_finding": Severity.ERROR,
    "_invalid": Severity.ERROR,
    "Finding": Severity.ERROR,
}


def codes_in_source() -> dict[str, Severity]:
    files = (file for pattern in FILES for file in sorted(ROOT.glob(pattern)))
    codes: dict[str, Severity] = {}
    for file in files:
        for code, severity in _codes(ast.parse(file.read_text())):
            assert codes.setdefault(code, severity) is severity, f"{code} is of one severity"
    return codes


def _codes(tree: ast.Module) -> Iterator[tuple[str, Severity]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (severity := MAKERS.get(_name(node.func))):
            given = [
                *node.args[:1],
                *(keyword.value for keyword in node.keywords if keyword.arg == "code"),
            ]
            for code in given:
                if isinstance(code, ast.Constant):
                    yield str(code.value), severity


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
