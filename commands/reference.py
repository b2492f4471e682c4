"""The reference of the command line, docs/cli.md, from the table of commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from .frame import MEANINGS, PROGRAM, Command, Form

FORMS = {
    Form.TABLE: "lines for people; the default. Scripts should not depend on it",
    Form.JSON: "an array of objects, or the object of a command that gives one; indented",
    Form.JSONL: "one object per line, as soon as it is known",
    Form.ID: "one id per line, each once",
}


def render_reference(commands: Sequence[Command]) -> str:
    """Return the whole document."""
    forms = [(f"`{form}`", meaning) for form, meaning in FORMS.items()]
    codes = [(str(code.value), meaning) for code, meaning in MEANINGS.items()]
    parts = [
        "# The command line\n",
        f"`{PROGRAM} --help` lists the commands, `{PROGRAM} COMMAND --help` describes one.\n",
        "## Output\n",
        "Standard output carries data and nothing else. Progress, summaries and errors"
        f" (`{PROGRAM}: ...`) go to standard error.\nCommands with data have the option `-o`,"
        " or `--output`:\n",
        _table(("form", "standard output"), forms),
        "A command that fails writes no half of an array: `-o json` then prints nothing.\n",
        "## Exit codes\n",
        "A number has the same meaning in every command, except that `serve` keeps the 1 and the 3"
        " of its server.\n",
        _table(("code", "meaning"), codes),
        "A command that is interrupted (SIGINT) returns 130.\n",
        "## Completion\n",
        "bash, zsh and fish complete commands and options:\n",
        "```sh",
        f'eval "$(_SAGA_COMPLETE=bash_source {PROGRAM})"    # in ~/.bashrc',
        f'eval "$(_SAGA_COMPLETE=zsh_source {PROGRAM})"     # in ~/.zshrc',
        f"_SAGA_COMPLETE=fish_source {PROGRAM} | source     # in ~/.config/fish/config.fish",
        "```\n",
        "## Commands\n",
    ]
    return "\n".join([*parts, *map(_section, commands)])


def _section(command: Command) -> str:
    parts = [f"### `{PROGRAM} {command.name}`\n", f"{command.summary}.\n", f"{command.help}\n"]
    if command.parameters:
        parts.append(_table(("parameter", "meaning"), list(_parameter_rows(command))))
    else:
        parts.append("No parameters.\n")
    if command.has_output:
        parts.append("Data: `-o table`, `json`, `jsonl` or `id`.\n")
    codes = [(str(code.value), text) for code, text in command.possible_exit_codes.items()]
    parts.append(_table(("exit code", "when"), codes))
    return "\n".join(parts)


def _parameter_rows(command: Command) -> Iterator[tuple[str, str]]:
    for parameter in command.parameters:
        if isinstance(parameter, click.Option):
            default = f"; default `{parameter.default}`" if parameter.show_default else ""
            usage = " ".join(filter(None, [", ".join(parameter.opts), parameter.metavar]))
            yield f"`{usage}`", f"{(parameter.help or '').removesuffix('.')}{default}"
        else:
            yield f"`{parameter.metavar}`", "required" if parameter.required else "optional"


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in [head, *rows]]
    return "\n".join([lines[0], "|---|---|", *lines[1:], ""])
