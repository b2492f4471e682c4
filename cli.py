"""The command line: the table of commands. docs/cli.md is made from it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from . import __version__
from .commands.definitions import LINT, SCHEMA
from .commands.doctor import DOCTOR
from .commands.frame import Command, ExitCode, Output, run_command_line
from .commands.projections import REBUILD
from .commands.reference import render_reference
from .commands.serve import SERVE


def show_version(output: Output) -> ExitCode:
    output.document({"version": __version__}, object_id=__version__, text=f"saga {__version__}")
    return ExitCode.OK


VERSION: Final = Command(
    path=("version",),
    summary="Show the version",
    help="The data is one object: `version`, which is also its id.",
    run=show_version,
)
COMMANDS: Final[tuple[Command, ...]] = (SERVE, LINT, SCHEMA, REBUILD, DOCTOR, VERSION)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    return run_command_line(COMMANDS, __version__, arguments)


def reference() -> str:
    """Return the text of docs/cli.md."""
    return render_reference(COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
