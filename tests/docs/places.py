"""Places in the code that documents name: a file, and classes and functions in it."""

from __future__ import annotations

import re

from saga_orchestrator.tests.docs.markdown import quoted_in
from saga_orchestrator.tests.house.tree import files, text


def unknown_places(cell: str) -> list[str]:
    """Return what a cell of a table quotes and the code does not have.

    `Class.function` counts as known if one of the files that the cell names defines both.
    """
    quoted = quoted_in(cell)
    named_files = [name for name in quoted if "/" in name]
    known = set(files())
    sources = [text(file) for file in named_files if file in known]
    unknown = [file for file in named_files if file not in known]
    for name in quoted:
        if "/" not in name and not any(_defines(source, name) for source in sources):
            unknown.append(name)
    return unknown if named_files else ["no file is named"]


def _defines(source: str, name: str) -> bool:
    parts = name.split(".")
    return all(
        re.search(rf"^\s*(?:class |(?:async )?def |)(?:{part})\b", source, re.MULTILINE)
        for part in parts
    )
