"""The frame of the command line, with commands of the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest
from saga_orchestrator.commands.frame import (
    MEANINGS,
    Command,
    CommandFailed,
    ExitCode,
    Output,
    run_command_line,
)
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.settings import InvalidSettings

SHIPS: Mapping[str, Mapping[str, object]] = {
    "b1": {"name": "Beagle", "guns": 10},
    "e2": {"name": "Endeavour", "guns": None},
}


def command(
    run: Callable[..., ExitCode], *path: str, parameter: click.Parameter | None = None
) -> Command:
    return Command(
        path=path or ("ships", "list"),
        summary="List ships",
        help="All of them.",
        run=run,
        parameters=() if parameter is None else (parameter,),
    )


def list_ships(output: Output) -> ExitCode:
    for ship_id, ship in SHIPS.items():
        output.row(ship, object_id=ship_id, line=f"{ship['name']} ({ship_id})")
        output.row(ship, object_id=ship_id, line=f"{ship['name']} again")
    output.note("2 ships")
    return ExitCode.OK


def show_ship(output: Output) -> ExitCode:
    output.document(SHIPS["b1"], object_id="b1", text="Beagle")
    return ExitCode.OK


def run(command: Command, *options: str) -> int:
    return run_command_line([command], "1.2.3", [*command.path, *options])


ROWS = {
    "table": "Beagle (b1)\nBeagle again\nEndeavour (e2)\nEndeavour again\n",
    "jsonl": '{"name": "Beagle", "guns": 10}\n' * 2 + '{"name": "Endeavour", "guns": null}\n' * 2,
    "id": "b1\ne2\n",
}
DOCUMENT = {
    "table": "Beagle\n",
    "json": '{\n  "name": "Beagle",\n  "guns": 10\n}\n',
    "jsonl": '{"name": "Beagle", "guns": 10}\n',
    "id": "b1\n",
}


@pytest.mark.parametrize("form", ROWS)
def test_rows_are_written_in_each_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(list_ships), "-o", form) == 0

    assert capsys.readouterr() == (ROWS[form], "2 ships\n")


def test_rows_are_one_array_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    def list_one(output: Output) -> ExitCode:
        output.row(SHIPS["b1"], object_id="b1", line="Beagle")
        return ExitCode.OK

    run(command(list_one), "--output", "json")
    run(command(lambda output: ExitCode.OK), "--output", "json")

    beagle = '[\n  {\n    "name": "Beagle",\n    "guns": 10\n  }\n]\n'
    assert capsys.readouterr() == (f"{beagle}[]\n", "")


@pytest.mark.parametrize("form", DOCUMENT)
def test_document_is_written_in_each_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(show_ship), "-o", form) == 0

    assert capsys.readouterr() == (DOCUMENT[form], "")


def test_table_is_the_default_form(capsys: pytest.CaptureFixture[str]) -> None:
    run(command(list_ships))

    assert capsys.readouterr().out == ROWS["table"]


@pytest.mark.parametrize("form", ["xml", "JSON", "", "tab"])
def test_unknown_form_is_a_usage_error(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(list_ships), "-o", form) == ExitCode.USAGE

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"saga: invalid value for '-o' / '--output': {form!r} is not one of"
        " 'table', 'json', 'jsonl', 'id' (see saga ships list --help)\n"
    )


def test_command_without_output_has_no_form(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Command(
        path=("dive",), summary="Dive", help="", run=lambda output: ExitCode.OK, has_output=False
    )

    assert run(silent) == ExitCode.OK
    assert run(silent, "-o", "json") == ExitCode.USAGE
    refusal = capsys.readouterr().err
    assert refusal.startswith("saga: no such option")
    assert refusal.endswith(" (see saga dive --help)\n")


@pytest.mark.parametrize("exit_code", ExitCode)
def test_exit_code_of_a_command_is_that_of_the_program(
    exit_code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(output: Output) -> ExitCode:
        raise CommandFailed(exit_code, "the ship\n  has sunk")

    assert run(command(lambda output: exit_code)) == exit_code
    assert run(command(fail)) == exit_code
    assert capsys.readouterr() == ("", "saga: the ship has sunk\n")


def test_exit_codes_have_stable_numbers_and_meanings() -> None:
    assert [code.value for code in ExitCode] == list(range(11))
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(InvalidSettings("PORT is wrong"), 2), (LogUnavailable("refused"), 6)],
)
def test_wrong_setting_and_missing_database_have_exit_codes(
    error: Exception, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(output: Output) -> ExitCode:
        raise error

    assert run(command(fail)) == exit_code
    assert capsys.readouterr() == ("", f"saga: {error}\n")


def test_failed_command_writes_no_half_of_an_array(capsys: pytest.CaptureFixture[str]) -> None:
    def sink(output: Output) -> ExitCode:
        list_ships(output)
        raise CommandFailed(ExitCode.UNREACHABLE, "the sea is gone")

    assert run(command(sink), "-o", "json") == ExitCode.UNREACHABLE
    assert capsys.readouterr() == ("", "2 ships\nsaga: the sea is gone\n")


def test_progress_is_written_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sail(output: Output) -> ExitCode:
        output.progress("1 mile")
        output.progress("2 miles")
        output.note("arrived")
        return ExitCode.OK

    run(command(sail))
    assert capsys.readouterr() == ("", "arrived\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(command(sail))
    assert capsys.readouterr() == ("", "\r1 mile\r2 miles\narrived\n")


def test_interrupted_command_ends_as_shells_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    def wait(output: Output) -> ExitCode:
        raise KeyboardInterrupt

    assert run(command(wait)) == 130
    assert capsys.readouterr().err == "\nsaga: interrupted\n"


def test_full_disk_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)

        assert run(command(list_ships)) == ExitCode.INTERNAL

    reason = "No space left on device"
    assert capsys.readouterr().err == f"saga: the output cannot be written: {reason}\n"


def test_name_of_a_file_that_is_no_text_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    def show(output: Output) -> ExitCode:
        output.document({"file": "a\udcff"}, object_id="a\udcff", text="a\udcff: found")
        return ExitCode.OK

    for form in ("table", "json", "id"):
        assert run(command(show), "-o", form) == ExitCode.OK

    assert capsys.readouterr().out == ('a\\udcff: found\n{\n  "file": "a\\udcff"\n}\na\\udcff\n')


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ("shps list", "there is no command 'shps'; did you mean ships? (see saga --help)"),
        ("ships lst", "there is no command 'lst'; did you mean list? (see saga ships --help)"),
        ("ships burn", "there is no command 'burn' (see saga ships --help)"),
        ("ships", "a command is missing: list (see saga ships --help)"),
        ("", "a command is missing: ships (see saga --help)"),
        ("ships list all", "got unexpected extra argument (all) (see saga ships list --help)"),
    ],
)
def test_mistyped_command_is_named_with_a_suggestion(
    arguments: str, refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([command(list_ships)], "1", arguments.split()) == ExitCode.USAGE
    assert capsys.readouterr() == ("", f"saga: {refusal}\n")


def test_groups_are_made_from_paths(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [command(list_ships, "ships", verb) for verb in ("sink", "list")]

    assert run_command_line([*commands, command(show_ship, "show")], "1", ["--help"]) == 0

    listed = capsys.readouterr().out.partition("Commands:\n")[2]
    assert listed == "  ships  list, sink\n  show   List ships\n"


def test_parameters_are_passed_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    def greet(output: Output, name: str) -> ExitCode:
        output.note(f"ahoy {name}")
        return ExitCode.OK

    assert run(command(greet, parameter=click.Argument(["name"])), "Beagle") == ExitCode.OK
    assert capsys.readouterr().err == "ahoy Beagle\n"


def test_version_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([command(list_ships)], "1.2.3", ["--version"]) == 0
    assert capsys.readouterr() == ("saga 1.2.3\n", "")


@pytest.mark.parametrize(
    ("words", "index", "completion"),
    [
        ("saga sh", "1", "ships"),
        ("saga ships l", "2", "list"),
        ("saga ships list --o", "3", "--output"),
    ],
)
def test_shells_complete_commands_and_options(
    words: str,
    index: str,
    completion: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("_SAGA_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", index)

    with pytest.raises(SystemExit) as ended:
        run_command_line([command(list_ships)], "1", [])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"plain,{completion}\n"
