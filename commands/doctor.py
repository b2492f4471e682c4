"""The command that checks the invariants of an installation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click

from ..document_files import describe_os_error
from ..fsm.formats.duration import parse_duration
from ..fsm.invariants import Notice, Violation
from ..fsm.runtime.clock import SystemClock
from ..projections.audit.evidence import (
    Evidence,
    collect_evidence,
    read_acknowledgements,
    read_calls,
)
from ..settings import read_settings
from .frame import Command, CommandFailed, ExitCode, Output

DEFAULT_PATIENCE = "5m"  # longer than calls wait for their turn on a busy day
Record = TypeVar("Record")


def doctor(
    output: Output, ledger: Sequence[Path], answers: Sequence[Path], patience: timedelta
) -> ExitCode:
    """Write one row per finding."""
    begun_at = SystemClock().now()
    calls = _read_records(read_calls, ledger)
    evidence = collect_evidence(calls, _read_records(read_acknowledgements, answers), at=begun_at)
    return asyncio.run(_examine(output, evidence, patience))


async def _examine(output: Output, evidence: Evidence, patience: timedelta) -> ExitCode:
    from .. import wiring  # loads all of the service

    violations = 0
    async with wiring.open_doctor(read_settings(), evidence, patience) as audit:
        async for finding in audit.findings(
            lambda done: output.progress(
                f"{done.shards} shards, {done.sagas} sagas, {done.events} events"
            )
        ):
            violations += isinstance(finding, Violation)
            output.row(
                {"kind": type(finding).__name__.lower(), **asdict(finding)},
                object_id=finding.saga_id,
                line=_line(finding),
            )
        done = audit.progress
    output.note(f"{done.sagas} sagas, {done.events} events, {violations} violations")
    return ExitCode.CHECK_FAILED if violations else ExitCode.OK


def _read_records(
    read: Callable[[Iterable[bytes]], Iterator[Record]], files: Iterable[Path]
) -> list[Record]:
    """Raises CommandFailed that names the file, and the line if one is wrong."""
    records: list[Record] = []
    for file in files:
        try:
            with file.open("rb") as lines:
                records += read(lines)
        except OSError as error:
            detail = f"{file}: {describe_os_error(error)}"
            raise CommandFailed(ExitCode.USAGE, detail) from None
        except ValueError as error:
            raise CommandFailed(ExitCode.USAGE, f"{file}: {error}") from None
    return records


def _line(finding: Violation | Notice) -> str:
    if isinstance(finding, Notice):
        return f"{finding.saga_id}: notice: {finding.detail}"
    at = "" if finding.version is None else f" at version {finding.version}"
    return f"{finding.saga_id}{at}: {finding.detail} [{finding.code}]"


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


DOCTOR = Command(
    path=("doctor",),
    summary="Check the invariants of every saga",
    help=(
        "The log is checked by itself, and against records of participants and clients"
        " (docs/doctor.md). The data is one object per finding: `kind` (`violation` or"
        " `notice`), `saga_id`, `detail`, and for a violation `code` and `version`; its id is the"
        " saga. Nothing is changed, and nodes may serve meanwhile."
    ),
    run=doctor,
    parameters=(
        click.Option(
            ["--ledger"],
            multiple=True,
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="A file of the calls that participants saw; may be repeated.",
        ),
        click.Option(
            ["--answers"],
            multiple=True,
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="A file of the responses that clients got; may be repeated.",
        ),
        click.Option(
            ["--patience"],
            default=DEFAULT_PATIENCE,
            show_default=True,
            metavar="DURATION",
            type=_duration,
            help="How long a saga may be overdue.",
        ),
    ),
    exit_codes={
        ExitCode.OK: "every invariant holds",
        ExitCode.USAGE: "a file or a setting is wrong, or the settings lead to no log",
        ExitCode.UNREACHABLE: "the database cannot be reached",
        ExitCode.CHECK_FAILED: "an invariant is violated",
    },
)
