"""Files and folders that documents name exist, and users' documents depend on nothing outside."""

from __future__ import annotations

import re
from typing import Final

import pytest
from saga_orchestrator.tests.docs.markdown import Document
from saga_orchestrator.tests.house.tree import files, text

# Decision records keep the names of their time.
DOCUMENTS: Final = [
    file for file in files() if file.endswith(".md") and not file.startswith("docs/adr/0")
]
PATH: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)+/?|[\w-]+\.(?:py|sql|lua)")
SOURCES: Final = (".py", ".sql", ".lua", ".json", ".yaml", "/")
LINK: Final = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("file", DOCUMENTS)
def test_paths_named_in_a_document_exist(file: str) -> None:
    quoted = Document(text(file)).quoted()
    paths = [path for path in quoted if PATH.fullmatch(path) and path.endswith(SOURCES)]

    assert [path for path in paths if not exists(path)] == []


def exists(path: str) -> bool:
    """A file, a folder with files in it, or the name or end of a path of some file."""
    if path.endswith("/"):
        return any(file.startswith(path) or f"/{path}" in file for file in files())
    return any(file == path or file.endswith(f"/{path}") for file in files())


@pytest.mark.parametrize("file", DOCUMENTS)
def test_links_of_a_document_lead_to_files(file: str) -> None:
    folder = file.rpartition("/")[0]
    targets = [resolve(folder, target) for target in LINK.findall(text(file))]

    assert [
        target for target in targets if target not in files() and not exists(f"{target}/")
    ] == []


def resolve(folder: str, target: str) -> str:
    parts = [part for part in folder.split("/") if part]
    for part in target.split("/"):
        if part == "..":
            parts.pop()
        elif part:
            parts.append(part)
    return "/".join(parts)


@pytest.mark.parametrize("file", DOCUMENTS)
def test_document_needs_nothing_beside_the_checkout(file: str) -> None:
    assert "../shared" not in text(file)
