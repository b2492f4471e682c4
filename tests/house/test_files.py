"""What no file may contain, and what must be shipped."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any, Final

import pytest
from saga_orchestrator.tests.house.tree import (
    PACKAGE,
    PRODUCTION,
    ROOT,
    files,
    production_files,
    python_files,
    text,
)

SHIPPED: Final = (*PRODUCTION, "examples")
TEXTS: Final = (".py", ".sql", ".md", ".toml", ".yaml", ".yml", ".txt", "Makefile", ".ci/run")


@pytest.mark.parametrize("option", ["-c", "-Ic"])
def test_http_is_the_standard_library_for_a_program_started_in_the_root(option: str) -> None:
    program = "import http, http.client; print(http.HTTPStatus.__module__, http.__file__)"

    ran = subprocess.run(
        [sys.executable, option, program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    module, file = ran.stdout.split()
    assert module == "http"
    assert not file.startswith(str(ROOT / "http"))


def test_no_file_has_unfinished_work() -> None:
    marker = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")

    assert _lines_with(marker) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    machine = re.compile(r"(?<![\w.:/$~}])/(work|root|home/\w+|Users/\w+)\b")
    temporary = re.compile(r"(?<![\w.:/$~}])/tmp\b")

    assert _lines_with(machine) == []
    assert [line for line in _lines_with(temporary) if not line.startswith("tests/")] == []


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file}:{number}: {line.strip()}"
        for file in files()
        if file.endswith(TEXTS)
        for number, line in enumerate(text(file).splitlines(), 1)
        if pattern.search(line)
    ]


def test_every_module_has_a_docstring() -> None:
    missing = [
        file for file in production_files() if text(file) and not text(file).startswith('"""')
    ]

    assert missing == []


def test_every_sql_file_begins_with_a_comment() -> None:
    statements = [
        file for file in files() if file.endswith(".sql") and not file.startswith("tests/")
    ]

    assert [statement for statement in statements if not text(statement).startswith("--")] == []


def test_every_package_is_listed() -> None:
    folders = {
        PurePosixPath(file).parent
        for file in python_files(*SHIPPED)
        if PurePosixPath(file).parent.parts
    }

    listed = set(_setuptools()["packages"])

    assert listed == {PACKAGE} | {".".join([PACKAGE, *folder.parts]) for folder in folders}


def test_every_file_beside_modules_is_shipped() -> None:
    shipped = [
        "/".join([*package.split(".")[1:], pattern])
        for package, patterns in _setuptools()["package-data"].items()
        for pattern in patterns
    ]

    beside = [
        file
        for file in files()
        if (file.startswith(SHIPPED) and not file.endswith(".py")) or file == "py.typed"
    ]

    assert [file for file in beside if not any(fnmatch(file, pattern) for pattern in shipped)] == []


def _setuptools() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]
    return settings


def test_every_decision_record_has_a_number_and_three_parts() -> None:
    records = [file for file in files() if file.startswith("docs/adr/0")]
    numbers = [int(PurePosixPath(record).name[:4]) for record in records]

    assert len(set(numbers)) == len(numbers)
    for record, number in zip(records, numbers, strict=True):
        assert text(record).startswith(f"# {number}. ")
        assert re.findall(r"\*\*(\w+)\.\*\*", text(record))[:3] == [
            "Context",
            "Decision",
            "Consequences",
        ]
