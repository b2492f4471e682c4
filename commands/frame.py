"""The frame of the command line: what a command declares, writes and returns.

A `Command` is a row of the table in cli.py. `run_command_line` makes groups, parsing, help and
shell completion from the rows, and turns every failure that a user can cause into one line on
standard error and an exit code. Standard output carries data and nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final, TextIO

import click

from ..eventstore import LogUnavailable
from ..fsm.formats.wording import did_you_mean
from ..settings import InvalidSettings

PROGRAM: Final = "saga"
INTERRUPTED: Final = 130  # as shells report SIGINT


class ExitCode(IntEnum):
    """The outcome of a command. The numbers are stable: scripts depend on them."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    NOT_PERMITTED = 5
    UNREACHABLE = 6
    COMPENSATED = 7
    NEEDS_OPERATOR = 8
    TIMED_OUT = 9
    CHECK_FAILED = 10


MEANINGS: Final[Mapping[ExitCode, str]] = {
    ExitCode.OK: "the command has done what it says",
    ExitCode.INTERNAL: "an error of the program itself, or of the destination of its output",
    ExitCode.USAGE: "a wrong argument, option, file or setting",
    ExitCode.NOT_FOUND: "the object that the command names does not exist",
    ExitCode.CONFLICT: "the state of that object does not permit the command",
    ExitCode.NOT_PERMITTED: "the caller is not permitted to do it",
    ExitCode.UNREACHABLE: "the service or its database cannot be reached",
    ExitCode.COMPENSATED: "the saga was compensated",
    ExitCode.NEEDS_OPERATOR: "the saga waits for an operator",
    ExitCode.TIMED_OUT: "the time to wait has passed",
    ExitCode.CHECK_FAILED: "a check found something",
}
ALWAYS_POSSIBLE: Final = (ExitCode.OK, ExitCode.INTERNAL, ExitCode.USAGE)


class Form(StrEnum):
    """The forms of data on standard output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    ID = "id"


class CommandFailed(Exception):
    """A failure that a user can cause. The message is one line that says what to change."""

    def __init__(self, exit_code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Output:
    """The data of one command on standard output; all else on standard error.

    Rows are written as they come, except for those of a JSON array: a command that fails leaves no
    half of one.
    """

    def __init__(self, form: Form = Form.TABLE) -> None:
        self._form = form
        self._array: list[Mapping[str, Any]] | None = [] if form is Form.JSON else None
        self._ids: set[str] = set()
        self._progress_is_open = False

    def row(self, data: Mapping[str, Any], *, object_id: str, line: str) -> None:
        """Write one of many objects; `line` is its form for people. An id is written once."""
        if self._array is None:
            self._write_data(data, object_id, line)
        else:
            self._array.append(data)

    def document(self, data: Mapping[str, Any], *, object_id: str, text: str) -> None:
        """Write the only object of this command; `text` is its form for people."""
        self._array = None
        if self._form is Form.JSON:
            self._write(_indented(data), sys.stdout)
        else:
            self._write_data(data, object_id, text)

    def note(self, text: str) -> None:
        """Write a summary, or an error, for people."""
        self._write(text, sys.stderr)

    def progress(self, text: str) -> None:
        """Write over the previous progress. Only a terminal shows it."""
        if sys.stderr.isatty():
            print(f"\r{text}", end="", flush=True, file=sys.stderr)
            self._progress_is_open = True

    def close(self) -> None:
        """Write what was kept back until the end."""
        if self._array is not None:
            self._write(_indented(self._array), sys.stdout)

    def _write_data(self, data: Mapping[str, Any], object_id: str, text: str) -> None:
        if self._form is Form.JSONL:
            self._write(json.dumps(data), sys.stdout)
        elif self._form is Form.TABLE:
            self._write(text, sys.stdout)
        elif object_id not in self._ids:
            self._ids.add(object_id)
            self._write(object_id, sys.stdout)

    def _write(self, text: str, stream: TextIO) -> None:
        if self._progress_is_open:
            self._progress_is_open = False
            print(file=sys.stderr)
        encoding = stream.encoding or "utf-8"
        # Names of files may hold bytes that are no text.
        printable = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            print(printable, file=stream, flush=True)
        except BrokenPipeError:
            raise  # the reader has enough: click ends the process
        except OSError as error:
            with suppress(OSError):
                stream.close()  # else Python tries again at the exit
            raise CommandFailed(
                ExitCode.INTERNAL, f"the output cannot be written: {error.strerror}"
            ) from None


def _indented(value: object) -> str:
    return json.dumps(value, indent=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table of commands.

    `run` gets an Output and the parameters by name. `exit_codes` says when the command gives which
    code, beside those of ALWAYS_POSSIBLE, whose meaning it can narrow.
    """

    path: tuple[str, ...]
    summary: str
    help: str
    run: Callable[..., ExitCode]
    parameters: tuple[click.Parameter, ...] = ()
    has_output: bool = True
    exit_codes: Mapping[ExitCode, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return " ".join(self.path)

    @property
    def possible_exit_codes(self) -> Mapping[ExitCode, str]:
        """Return when the command gives each exit code that it can give."""
        always = {exit_code: MEANINGS[exit_code] for exit_code in ALWAYS_POSSIBLE}
        return dict(sorted({**always, **self.exit_codes}.items()))


def run_command_line(
    commands: Sequence[Command], version: str, arguments: Sequence[str] | None = None
) -> int:
    """Run the command that `arguments` (default: those of the process) name; return its exit code.

    What the user has done wrong is one line on standard error that begins with the program's name.
    """
    tree = command_tree(commands, version)
    given = None if arguments is None else list(arguments)
    try:
        return int(tree.main(given, prog_name=PROGRAM, standalone_mode=False) or 0)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        place = context.command_path if context else PROGRAM
        _report(f"{_uncapitalized(error.format_message())} (see {place} --help)")
        return ExitCode.USAGE
    except click.Abort:
        _report("interrupted")
        return INTERRUPTED


def command_tree(commands: Sequence[Command], version: str) -> click.Group:
    """Return click's tree of groups and commands: a group for each common start of paths."""
    root = _Group(name=PROGRAM, help="Run and operate sagas across HTTP services.")
    root.params.append(_version_option(version))
    for command in commands:
        group = root
        for name in command.path[:-1]:
            inner = group.commands.get(name)
            if inner is None:
                inner = _Group(name=name)
                group.add_command(inner)
            assert isinstance(inner, _Group), f"{command.name}: {name} is a command"
            group = inner
        group.add_command(_click_command(command))
    return root


class _Group(click.Group):
    """A group whose summary lists its commands, and that suggests a name for a mistyped one."""

    def get_short_help_str(self, limit: int = 45) -> str:
        return ", ".join(self.list_commands(click.Context(self)))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            ctx.fail(f"a command is missing: {', '.join(sorted(self.commands))}")
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name!r}{did_you_mean(name, self.commands)}")
        return super().resolve_command(ctx, args)


def _click_command(command: Command) -> click.Command:
    output = (OUTPUT_OPTION,) if command.has_output else ()

    def execute(**parameters: Any) -> ExitCode:
        return _execute(command, **parameters)

    return click.Command(
        name=command.path[-1],
        params=[*command.parameters, *output],
        callback=execute,
        help=f"{command.summary}.\n\n{command.help}",
        short_help=command.summary,
    )


OUTPUT_OPTION: Final = click.Option(
    ["-o", "--output", "form"],
    type=click.Choice([form.value for form in Form]),
    default=Form.TABLE.value,
    show_default=True,
    help="The form of the data on standard output.",
)


def _execute(command: Command, *, form: str = Form.TABLE, **parameters: Any) -> ExitCode:
    output = Output(Form(form))
    try:
        exit_code = command.run(output, **parameters)
        output.close()
    except CommandFailed as error:
        return _fail(output, error.exit_code, error)
    except InvalidSettings as error:
        return _fail(output, ExitCode.USAGE, error)
    except LogUnavailable as error:
        return _fail(output, ExitCode.UNREACHABLE, error)
    return exit_code


def _fail(output: Output, exit_code: ExitCode, error: Exception) -> ExitCode:
    output.note(f"{PROGRAM}: {' '.join(str(error).split())}")
    return exit_code


def _report(message: str) -> None:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)


def _uncapitalized(message: str) -> str:
    return message[:1].lower() + message[1:].removesuffix(".")


def _version_option(version: str) -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, given: bool) -> None:
        if given and not ctx.resilient_parsing:
            click.echo(f"{PROGRAM} {version}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Show the version and exit.",
    )
