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
        f"{ping}:/steps/0/saga/type",
        f"{pong}:/steps/0/saga/type",
    ]


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ping = child(tmp_path / "ping.yaml", "ping", of="ping")

    assert cli.main(["definitions", "lint", str(tmp_path / "none.yaml"), ping]) == 1

    findings = capsys.readouterr().out.splitlines()
    assert [one.rpartition(" ")[2] for one in findings] == ["[unreadable]", "[endless-children]"]
