"""The title of a test is a sentence whose subject is a noun."""

from __future__ import annotations

import ast
from typing import Final

from saga_orchestrator.tests.house.tree import python_files, tree

NO_NOUN_FOLLOWS: Final = {
    "how", "if", "it", "or", "so", "that", "they", "what", "whatever", "when", "where", "whether",
    "who", "whoever", "whose", "why", "after", "at", "before", "by", "in", "of", "on", "with",
    "without", "everything", "nothing",
}  # fmt: skip
# A title names the client, operator, node or participant, and what it gets.
UNNAMED: Final = {
    "anybody", "everybody", "nobody", "somebody", "whoever", "told", "tells", "heard", "hears",
}  # fmt: skip


def titles() -> list[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = [
        node.name
        for file in python_files("tests")
        for node in ast.walk(tree(file))
        if isinstance(node, functions)
    ]
    return [name for name in names if name.startswith("test_")]


def test_title_begins_with_its_subject() -> None:
    assert [title for title in titles() if title.split("_")[1] in NO_NOUN_FOLLOWS] == []


def test_title_names_people_and_things() -> None:
    assert [title for title in titles() if UNNAMED & set(title.split("_"))] == []
