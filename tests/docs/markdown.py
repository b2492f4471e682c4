"""What is asked of a document: its blocks of code, the rows of its tables, what it quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Document:
    text: str

    def blocks(self, language: str) -> list[str]:
        return [block for kind, block in BLOCK.findall(self.text) if kind == language]

    def table(self, first_column: str) -> list[list[str]]:
        """The rows of the table whose head begins with that column, cell by cell."""
        _, found, rest = self.text.partition(f"| {first_column} |")
        assert found, f"there is a table of {first_column}"
        rows = rest.partition("\n\n")[0].splitlines()[2:]
        return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]

    def quoted(self) -> list[str]:
        """What stands in backquotes outside of the blocks."""
        return QUOTED.findall(BLOCK.sub("", self.text))


def document(path: str) -> Document:
    return Document((ROOT / path).read_text(encoding="utf-8"))


def quoted_in(text: str) -> list[str]:
    return QUOTED.findall(text)
