"""docs/cli.md is made from the table of commands."""

from __future__ import annotations

from typing import Final

from saga_orchestrator import cli
from saga_orchestrator.tests.docs.markdown import document

RENEW: Final = (
    ".venv/bin/python -c 'from saga_orchestrator import cli; print(cli.reference(), end=\"\")'"
    " > docs/cli.md"
)


def test_reference_is_that_of_the_table() -> None:
    assert document("docs/cli.md").text == cli.reference(), f"renew it: {RENEW}"


def test_reference_lists_every_command() -> None:
    headings = [
        line for line in document("docs/cli.md").text.splitlines() if line.startswith("### ")
    ]

    assert headings == [f"### `saga {command.name}`" for command in cli.COMMANDS]


def test_contributing_says_how_to_renew_the_reference() -> None:
    assert RENEW in document("CONTRIBUTING.md").text
