"""docs/findings.md names every code, and docs/definition.schema.json is what the program prints."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from pydantic_core.core_schema import ErrorType
from saga_orchestrator import cli
from saga_orchestrator.fsm.definitions.schema import definition_schema
from saga_orchestrator.fsm.definitions.validation_errors import finding_code
from saga_orchestrator.tests.unit.fsm.definitions.verifier.finding_codes import (
    ROOT,
    codes_in_source,
)

FINDINGS = (ROOT / "docs" / "findings.md").read_text()
SCHEMA = ROOT / "docs" / "definition.schema.json"
ROW = re.compile(r"^\| `([a-z-]+)` \| (error|warning) \| (.+)\. \| (.+)\. \|$", re.MULTILINE)
RULE = re.compile(r"^\| `([a-z-]+)` \| [^|]+\. \|$", re.MULTILINE)


def test_every_code_is_documented_with_its_severity() -> None:
    documented = [(code, severity) for code, severity, _, _ in ROW.findall(FINDINGS)]

    assert sorted(documented) == sorted(
        (code, severity.value) for code, severity in codes_in_source().items()
    )


def test_every_rule_of_the_language_is_documented() -> None:
    rules = set(RULE.findall(FINDINGS))

    assert rules == {finding_code(kind) for kind in get_args(ErrorType)}


def test_schema_in_the_docs_equals_the_printed_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["definitions", "schema"]) == 0

    assert capsys.readouterr().out == SCHEMA.read_text()


def test_defaults_in_the_schema_are_written_like_definitions() -> None:
    """Editors offer the defaults, so they must be written as people write them."""
    schema: Any = definition_schema()

    step = schema["$defs"]["StepModel"]
    assert step["properties"]["completion_timeout"]["default"] == "15m"
    assert step["oneOf"] == [
        {"required": [kind]} for kind in ("action", "sleep", "wait_for", "saga")
    ]
    for default in re.findall(r'"default": "([^"]+)"', json.dumps(schema)):
        assert not default.startswith("PT")
