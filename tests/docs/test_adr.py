"""docs/adr/README.md lists every decision record, and no file refers to one that does not exist."""

from __future__ import annotations

import re
from typing import Final

from saga_orchestrator.tests.docs.markdown import document
from saga_orchestrator.tests.house.tree import files, text

INDEX: Final = "docs/adr/README.md"
RECORD: Final = re.compile(r"docs/adr/(\d{4})-[\w-]+\.md")
REFERENCE: Final = re.compile(r"\bADRs? (\d+)|\badr/(\d{4})\b|\brecord (\d+)\b")
REFERRING: Final = (".py", ".md", ".sql", ".toml", ".yaml", ".yml")


def records() -> dict[int, str]:
    """The file of each number."""
    matches = [RECORD.fullmatch(file) for file in files()]
    return {int(match[1]): match[0] for match in matches if match}


def test_index_lists_every_record_with_its_title() -> None:
    rows = document(INDEX).table("number")

    assert rows == [
        [f"[{number}]({file.removeprefix('docs/adr/')})", title_of(file)]
        for number, file in sorted(records().items())
    ]


def title_of(file: str) -> str:
    return text(file).splitlines()[0].partition(". ")[2]


def test_every_reference_names_a_record_that_exists() -> None:
    dangling = [
        f"{file}: {match[0]}"
        for file in files()
        if file.endswith(REFERRING)
        for match in REFERENCE.finditer(text(file))
        if int(match[1] or match[2] or match[3]) not in records()
    ]

    assert dangling == []
