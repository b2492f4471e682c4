"""The command line.

saga serve                            serve in the foreground until told to stop
saga definitions lint FILE ...        what is wrong with definitions, before anybody runs them
saga definitions schema               the JSON Schema of the definition language, for editors
saga projections rebuild              fold the status view anew from the log
saga doctor                           whether the log has kept what is promised of every saga
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from . import server, wiring
from .document_files import UnreadableFile, describe_os_error, is_json, parse_document, read_text
from .eventstore.errors import LogUnavailable
from .fsm.definitions.definition import Definition
from .fsm.definitions.findings import Finding, InvalidDefinition, Severity
from .fsm.definitions.parser import load_registered_definition
from .fsm.definitions.schema import definition_schema
from .fsm.definitions.verifier import verify
from .fsm.definitions.verifier.inputs import check_input_is_declared
from .fsm.formats.duration import parse_duration
from .fsm.formats.strict_yaml import InvalidYaml, line_numbers
from .fsm.formats.wording import counted
from .fsm.invariants import Notice, Violation
from .fsm.runtime.clock import SystemClock
from .projections.audit.doctor import AuditProgress
from .projections.audit.evidence import (
    Evidence,
    collect_evidence,
    read_acknowledgements,
    read_calls,
)
from .settings import InvalidSettings, has_participant_variables, read_settings

PATIENCE = "5m"  # of the doctor: longer than calls wait for their turn on a busy day
Told = TypeVar("Told")


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
        case "doctor", _:
            return doctor(options)
        case _:
            return rebuild()


def lint(files: Sequence[Path]) -> int:
    """Print one line a finding; return 1 if one is an error. The files may name each other."""
    try:
        participants = _participants()
    except InvalidSettings as error:
        print(f"saga: {error}", file=sys.stderr)
        return 2
    read = [_read(file) for file in files]
    definitions = [one for one in read if isinstance(one, Definition)]
    errors = 0
    for file, one in zip(files, read, strict=True):
        if isinstance(one, Definition):
            one = _findings(one, definitions, participants)
        for finding in one:
            errors += finding.severity is Severity.ERROR
            place = _place(file, finding.pointer)
            print(f"{place}: {finding.severity}: {finding.detail} [{finding.code}]")
    print(f"{counted(len(files), 'definition')}, {counted(errors, 'error')}", file=sys.stderr)
    return 1 if errors else 0


def schema() -> int:
    print(json.dumps(definition_schema(), indent=2))
    return 0


def rebuild() -> int:
    """Prints how many events were folded; 2 if there is nothing that could be."""
    try:
        events = asyncio.run(wiring.rebuild_projections(read_settings()))
    except (InvalidSettings, LogUnavailable) as error:
        print(f"saga: {error}", file=sys.stderr)
        return 2
    print(f"folded {events} events")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Prints one line a finding; 1 if one of them is a broken promise."""
    begun_at = SystemClock().now()
    try:
        calls, answers = (
            _told(read_calls, options.ledger),
            _told(read_acknowledgements, options.answers),
        )
        witnesses = collect_evidence(calls, answers, at=begun_at)
        return asyncio.run(_examine(witnesses, options.patience, as_json=options.json))
    except (InvalidSettings, LogUnavailable, OSError, ValueError) as error:
        print(f"saga: {error}", file=sys.stderr)
        return 2


async def _examine(witnesses: Evidence, patience: timedelta, *, as_json: bool) -> int:
    violations = 0
    async with wiring.open_doctor(read_settings(), witnesses, patience) as examining:
        async for finding in examining.findings(_show_progress):
            violations += isinstance(finding, Violation)
            print(_json(finding) if as_json else _line(finding))
        done = examining.progress
    below = "\n" if sys.stderr.isatty() else ""
    counted = f"{done.sagas} sagas, {done.events} events, {violations} violations"
    print(f"{below}{counted}", file=sys.stderr)
    return 1 if violations else 0


def _show_progress(examined: AuditProgress) -> None:
    """One line that is written over again, where somebody looks at it."""
    if sys.stderr.isatty():
        done = f"{examined.shards} shards, {examined.sagas} sagas, {examined.events} events"
        print(f"\r{done}", end="", flush=True, file=sys.stderr)


def _told(read: Callable[[Iterable[bytes]], Iterator[Told]], files: Iterable[Path]) -> list[Told]:
    """Raises ValueError that names the file, and the line if one is wrong."""
    told: list[Told] = []
    for file in files:
        try:
            with file.open("rb") as lines:
                told += read(lines)
        except OSError as error:
            raise ValueError(f"{file}: {describe_os_error(error)}") from None
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
    return told


def _line(finding: Violation | Notice) -> str:
    if isinstance(finding, Notice):
        return f"{finding.saga_id}: notice: {finding.detail}"
    at = "" if finding.version is None else f" at version {finding.version}"
    return f"{finding.saga_id}{at}: {finding.detail} [{finding.code}]"


def _json(finding: Violation | Notice) -> str:
    return json.dumps({"kind": type(finding).__name__.lower(), **asdict(finding)})


def _participants() -> Collection[str] | None:
    """Return those that have a URL, if the environment gives any; else all may have one.

    Raises InvalidSettings.
    """
    return wiring.addressed_participants(read_settings()) if has_participant_variables() else None


def _findings(
    definition: Definition, others: Sequence[Definition], participants: Collection[str] | None
) -> Sequence[Finding]:
    """With what is not known of its input, which is told to its author alone."""
    findings = verify(definition, participants, others)
    return [*findings, *check_input_is_declared(definition)]


def _read(file: Path) -> Definition | Sequence[Finding]:
    """Return the findings instead if it is not in the language."""
    try:
        return load_registered_definition(parse_document(file, read_text(file)))
    except InvalidDefinition as error:
        return error.findings
    except UnreadableFile as error:
        return [Finding(code="unreadable", pointer="", detail=str(error))]


def _place(file: Path, pointer: str) -> str:
    """The file, line and pointer. The line of what is missing is that of what is around it."""
    try:
        text = read_text(file)
        parse_document(file, text)
        # JSON is YAML but for the tabs between its parts.
        lines = line_numbers(text.replace("\t", " ") if is_json(file) else text)
    except (UnreadableFile, InvalidYaml):
        return str(file)
    around = pointer
    while around not in lines:
        around = around.rpartition("/")[0]
    return f"{file}:{lines[around]}" + (f":{pointer}" if pointer else "")


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
    doctoring = commands.add_parser("doctor", help="check what is promised of every saga")
    doctoring.add_argument(
        "--ledger",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        help="files of the calls that participants saw, one JSON object a line (docs/doctor.md)",
    )
    doctoring.add_argument(
        "--answers",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        help="files of the answers that clients got, one JSON object a line (docs/doctor.md)",
    )
    doctoring.add_argument(
        "--patience",
        default=PATIENCE,
        type=parse_duration,
        help="how long a saga may stand still that should have gone on (default: %(default)s)",
    )
    doctoring.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
