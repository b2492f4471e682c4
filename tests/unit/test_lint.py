"""`saga definitions lint` on files."""

from __future__ import annotations

from pathlib import Path

import pytest
from saga_orchestrator import cli


def child(file: Path, name: str, of: str) -> str:
    file.write_text(f"saga: {name}\nversion: 1\nsteps: [{{name: next, saga: {{type: {of}}}}}]\n")
    return str(file)


def test_files_that_are_linted_together_know_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ping = child(tmp_path / "ping.yaml", "ping", of="pong")
    pong = child(tmp_path / "pong.yaml", "pong", of="ping")

    assert cli.main(["definitions", "lint", ping]) == 0
    assert cli.main(["definitions", "lint", ping, pong]) == 1

    findings = capsys.readouterr().out.splitlines()
    assert [one.partition(": error: ")[0] for one in findings] == [
        f"{ping}:3:/steps/0/saga/type",
        f"{pong}:3:/steps/0/saga/type",
    ]


WRONG = """saga: trip
version: 1
steps:
  - name: book
    participant: hotel
    action:
      path: /rooms
      body: {paid: "${!input.paid}"}
    compensation:
      metod: DELETE
"""


def test_a_finding_has_its_line_and_what_is_missing_that_of_what_is_around_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text(WRONG)
    cli.main(["definitions", "lint", str(file)])
    file.write_text(WRONG.replace("metod: DELETE", "path: /undo"))
    cli.main(["definitions", "lint", str(file)])

    places = [one.partition(": error: ")[0] for one in capsys.readouterr().out.splitlines()]
    assert places == [
        f"{file}:9:/steps/0/compensation/path",
        f"{file}:10:/steps/0/compensation/metod",
        f"{file}:8:/steps/0/action/body/paid",
    ]


@pytest.mark.parametrize(("text", "line"), [("a: [1\n", 2), ("a: 1\nb: {a: 1\nc: 2\n", 3)])
def test_a_file_that_is_no_yaml_has_its_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int
) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text(text)

    assert cli.main(["definitions", "lint", str(file)]) == 1
    assert capsys.readouterr().out.startswith(f"{file}: error: line {line}, column ")


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ping = child(tmp_path / "ping.yaml", "ping", of="ping")

    assert cli.main(["definitions", "lint", str(tmp_path / "none.yaml"), ping]) == 1

    findings = capsys.readouterr().out.splitlines()
    assert [one.rpartition(" ")[2] for one in findings] == ["[unreadable]", "[endless-children]"]
