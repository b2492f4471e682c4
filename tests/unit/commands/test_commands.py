"""The table of commands, and what the commands without a database write and return.

Those that read the log are in tests/integration/commands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
import pytest
from saga_orchestrator import __version__, cli
from saga_orchestrator.commands.frame import ALWAYS_POSSIBLE, Command, ExitCode, Form
from saga_orchestrator.fsm.definitions.schema import definition_schema

VERBS: Final = {"Check", "Print", "Project", "Serve", "Show", "Verify"}
NOWHERE: Final = "postgresql://postgres@127.0.0.1:1/saga"  # no server listens on port 1
FORMS: Final = [form.value for form in Form]
READERS_OF_THE_LOG: Final = ("doctor", "projections rebuild")


@pytest.fixture(params=cli.COMMANDS, ids=lambda command: command.name)
def command(request: pytest.FixtureRequest) -> Command:
    found: Command = request.param
    return found


def test_command_has_a_summary_that_begins_with_a_verb(command: Command) -> None:
    assert command.summary.split()[0] in VERBS
    assert not command.summary.endswith(".")
    assert command.help.endswith(".")


def test_help_of_a_command_shows_its_summary_and_parameters(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command.path, "--help"]) == 0

    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(f"Usage: saga {command.name} ")
    assert command.summary in printed.out
    assert ("--output" in printed.out) is command.has_output
    for parameter in command.parameters:
        assert (parameter.metavar or "") in printed.out
    options = [each for each in command.parameters if isinstance(each, click.Option)]
    assert all(option.help for option in options)


def test_command_declares_exit_codes(command: Command) -> None:
    assert set(command.possible_exit_codes) >= set(ALWAYS_POSSIBLE)
    assert all(command.possible_exit_codes.values())


def test_paths_are_unique_and_no_command_is_a_group() -> None:
    paths = [command.path for command in cli.COMMANDS]

    assert len(set(paths)) == len(paths)
    assert not {path[:size] for path in paths for size in range(1, len(path))} & set(paths)


def test_command_with_data_refuses_an_unknown_form(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command.path, "-o", "xml"]) == ExitCode.USAGE

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("saga: ")
    assert printed.err.count("\n") == 1


def test_summary_of_groups_lists_their_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0

    listed = capsys.readouterr().out
    assert "  definitions  lint, schema\n" in listed
    assert "  doctor       Check the invariants of every saga\n" in listed


def golden_findings(file: Path) -> Mapping[str, str]:
    path, detail = json.dumps(str(file)), "must have at least 1 entry"
    members = (
        f'"file": {path}',
        '"line": 3',
        '"pointer": "/steps"',
        '"severity": "error"',
        '"code": "too-short"',
        f'"detail": "{detail}"',
    )
    indented = ",\n".join(f"    {member}" for member in members)
    return {
        "table": f"{file}:3:/steps: error: {detail} [too-short]\n",
        "json": f"[\n  {{\n{indented}\n  }}\n]\n",
        "jsonl": f"{{{', '.join(members)}}}\n",
        "id": f"{file}\n",
    }


@pytest.mark.parametrize("form", FORMS)
def test_lint_writes_findings_in_each_form(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text("saga: trip\nversion: 1\nsteps: []\n")

    assert cli.main(["definitions", "lint", str(file), "-o", form]) == ExitCode.CHECK_FAILED
    assert capsys.readouterr() == (golden_findings(file)[form], "1 definition, 1 error\n")


def test_finding_without_a_place_has_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.yaml"

    assert cli.main(["definitions", "lint", "-o", "jsonl", str(file)]) == ExitCode.CHECK_FAILED

    finding = json.loads(capsys.readouterr().out)
    assert (finding["line"], finding["code"]) == (None, "unreadable")


def test_lint_without_a_file_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["definitions", "lint"]) == ExitCode.USAGE
    assert capsys.readouterr() == (
        "",
        "saga: missing argument 'FILE...' (see saga definitions lint --help)\n",
    )


@pytest.mark.parametrize("form", FORMS)
def test_schema_is_written_in_each_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["definitions", "schema", "-o", form]) == ExitCode.OK

    schema = definition_schema()
    indented = json.dumps(schema, indent=2)
    golden = {"jsonl": json.dumps(schema), "id": "Definition"}
    assert capsys.readouterr() == (f"{golden.get(form, indented)}\n", "")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("table", f"saga {__version__}"),
        ("json", f'{{\n  "version": "{__version__}"\n}}'),
        ("jsonl", f'{{"version": "{__version__}"}}'),
        ("id", __version__),
    ],
)
def test_version_is_written_in_each_form(
    form: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["version", "-o", form]) == ExitCode.OK
    assert capsys.readouterr() == (f"{text}\n", "")


@pytest.mark.parametrize("name", READERS_OF_THE_LOG)
@pytest.mark.parametrize("form", FORMS)
def test_unreachable_database_is_one_line(
    name: str, form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)

    assert cli.main([*name.split(), "-o", form]) == ExitCode.UNREACHABLE

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("saga: The log is not available: ")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("name", READERS_OF_THE_LOG)
def test_wrong_setting_is_a_usage_error(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://root@127.0.0.1/saga")

    assert cli.main(name.split()) == ExitCode.USAGE

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("saga: DATABASE_URL")


def test_wrong_duration_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--patience", "3 parsecs"]) == ExitCode.USAGE

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("saga: invalid value for '--patience': '3 parsecs' is not ")


@pytest.mark.parametrize("option", ["--ledger", "--answers"])
def test_missing_file_of_records_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    file = tmp_path / "none.jsonl"

    assert cli.main(["doctor", option, str(file)]) == ExitCode.USAGE
    assert capsys.readouterr() == ("", f"saga: {file}: there is no such file\n")
