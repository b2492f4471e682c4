"""Names, places and words that no file may have, and what must be shipped."""

from __future__ import annotations

import http
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


def test_http_is_the_standard_library_s() -> None:
    assert "http/__init__.py" not in files()
    assert http.HTTPStatus.OK.value == 200


@pytest.mark.parametrize("option", ["-c", "-Ic"])
def test_http_is_the_standard_library_s_for_whoever_starts_in_the_root(option: str) -> None:
    program = "import http, http.client; print(http.HTTPStatus.__module__, http.__file__)"

    said = subprocess.run(
        [sys.executable, option, program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    module, file = said.stdout.split()
    assert module == "http"
    assert not file.startswith(str(ROOT / "http"))


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")

    assert _lines_with(later) == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    machine = re.compile(r"(?<![\w.:/$~}])/(work|root|home/\w+|Users/\w+)\b")
    somewhere_temporary = re.compile(r"(?<![\w.:/$~}])/tmp\b")

    assert _lines_with(machine) == []
    assert [one for one in _lines_with(somewhere_temporary) if not one.startswith("tests/")] == []


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file}:{number}: {line.strip()}"
        for file in files()
        if file.endswith(TEXTS)
        for number, line in enumerate(text(file).splitlines(), 1)
        if pattern.search(line)
    ]


def test_every_module_says_what_it_is() -> None:
    silent = [one for one in production_files() if text(one) and not text(one).startswith('"""')]

    assert silent == []


def test_sql_lives_in_files_that_say_why() -> None:
    statements = [one for one in files() if one.endswith(".sql") and not one.startswith("tests/")]

    assert [one for one in statements if not text(one).startswith("--")] == []


def test_every_package_is_listed() -> None:
    folders = {
        PurePosixPath(one).parent
        for one in python_files(*SHIPPED)
        if PurePosixPath(one).parent.parts
    }

    listed = set(_setuptools()["packages"])

    assert listed == {PACKAGE} | {".".join([PACKAGE, *one.parts]) for one in folders}


def test_what_is_not_a_module_is_shipped_too() -> None:
    shipped = [
        "/".join([*package.split(".")[1:], pattern])
        for package, patterns in _setuptools()["package-data"].items()
        for pattern in patterns
    ]

    beside = [
        one
        for one in files()
        if (one.startswith(SHIPPED) and not one.endswith(".py")) or one == "py.typed"
    ]

    assert [one for one in beside if not any(fnmatch(one, pattern) for pattern in shipped)] == []


def _setuptools() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]
    return settings


def test_decision_records_have_a_number_each() -> None:
    records = [one for one in files() if one.startswith("docs/adr/0")]
    numbers = [int(PurePosixPath(one).name[:4]) for one in records]

    assert len(set(numbers)) == len(numbers)
    for record, number in zip(records, numbers, strict=True):
        assert text(record).startswith(f"# {number}. ")
        assert re.findall(r"\*\*(\w+)\.\*\*", text(record))[:3] == [
            "Context",
            "Decision",
            "Consequences",
        ]
