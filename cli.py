"""The command line.

saga serve                            serve in the foreground until told to stop
saga definitions lint FILE ...        what is wrong with definitions, before anybody runs them
saga definitions schema               the JSON Schema of the definition language, for editors
saga projections rebuild              fold the status view anew from the log
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import server
from .fsm.errors import Finding, InvalidDefinition, Severity
from .fsm.language import definition_schema
from .fsm.reader import read_definition
from .fsm.verifier import verify
from .fsm.yaml_document import InvalidYaml, parse_yaml
from .settings import InvalidSettings, read_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(arguments)
    match options.command, getattr(options, "verb", None):
        case "serve", _:
            server.main()
            return 0
        case "definitions", "lint":
            return lint(options.files)
        case "definitions", _:
            return schema()
        case _:
            return rebuild()


def lint(files: Sequence[Path]) -> int:
    """Prints one line a finding; 1 if one is an error."""
    errors = 0
    for file in files:
        for finding in _findings(file):
            errors += finding.severity is Severity.ERROR
            print(
                f"{file}:{finding.pointer}: {finding.severity}: {finding.detail} [{finding.code}]"
            )
    print(f"{len(files)} definitions, {errors} errors", file=sys.stderr)
    return 1 if errors else 0


def schema() -> int:
    print(json.dumps(definition_schema(), indent=2))
    return 0


def rebuild() -> int:
    """Prints how many events were folded."""
    try:
        events = asyncio.run(server.rebuild_projections(read_settings()))
    except InvalidSettings as error:
        print(f"saga: {error}", file=sys.stderr)
        return 2
    print(f"folded {events} events")
    return 0


def _findings(file: Path) -> Sequence[Finding]:
    try:
        return verify(read_definition(parse_yaml(file.read_text())))
    except InvalidDefinition as error:
        return error.findings
    except (OSError, UnicodeDecodeError, InvalidYaml) as error:
        return [Finding(code="unreadable", pointer="", detail=str(error))]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="saga", description="Sagas across HTTP services.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve in the foreground; settings are in the environment")
    definitions = commands.add_parser("definitions", help="work on definition files")
    verbs = definitions.add_subparsers(dest="verb", required=True)
    linting = verbs.add_parser("lint", help="say what is wrong with them")
    linting.add_argument("files", nargs="+", type=Path)
    verbs.add_parser("schema", help="print the JSON Schema of the language, for editors")
    projections = commands.add_parser("projections", help="work on the read models")
    rebuilding = projections.add_subparsers(dest="verb", required=True)
    rebuilding.add_parser("rebuild", help="fold them anew from the log, also while nodes serve")
    return parser


if __name__ == "__main__":
    sys.exit(main())
