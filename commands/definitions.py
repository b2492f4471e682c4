"""Commands on definition files."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import click

from ..document_files import UnreadableFile, is_json, parse_document, read_text
from ..fsm.definitions.definition import Definition
from ..fsm.definitions.findings import Finding, InvalidDefinition, Severity
from ..fsm.definitions.parser import parse_unverified_definition
from ..fsm.definitions.schema import definition_schema
from ..fsm.definitions.verifier import verify
from ..fsm.definitions.verifier.inputs import check_input_is_declared
from ..fsm.formats.strict_yaml import InvalidYaml, line_numbers
from ..fsm.formats.wording import counted
from ..settings import has_participant_variables, read_settings
from .frame import Command, ExitCode, Output


def lint(output: Output, files: Sequence[Path]) -> ExitCode:
    """Write one row per finding. The files may name each other."""
    participants = _participants()
    contents = [_read(file) for file in files]
    definitions = [content for content in contents if isinstance(content, Definition)]
    errors = 0
    for file, content in zip(files, contents, strict=True):
        findings = (
            _findings(content, definitions, participants)
            if isinstance(content, Definition)
            else content
        )
        for finding in findings:
            errors += finding.severity is Severity.ERROR
            _write_finding(output, file, finding)
    output.note(f"{counted(len(files), 'definition')}, {counted(errors, 'error')}")
    return ExitCode.CHECK_FAILED if errors else ExitCode.OK


def _write_finding(output: Output, file: Path, finding: Finding) -> None:
    line = _line_number(file, finding.pointer)
    place = str(file)
    if line is not None:
        place += f":{line}" + (f":{finding.pointer}" if finding.pointer else "")
    output.row(
        {
            "file": str(file),
            "line": line,
            "pointer": finding.pointer,
            "severity": finding.severity,
            "code": finding.code,
            "detail": finding.detail,
        },
        object_id=str(file),
        line=f"{place}: {finding.severity}: {finding.detail} [{finding.code}]",
    )


def schema(output: Output) -> ExitCode:
    document = definition_schema()
    output.document(document, object_id=str(document["title"]), text=json.dumps(document, indent=2))
    return ExitCode.OK


def _participants() -> Collection[str] | None:
    """Return the participants that have a URL, or None, for any, if the environment gives no URLs.

    Raises InvalidSettings.
    """
    if not has_participant_variables():
        return None
    from .. import wiring  # loads all of the service

    return wiring.addressed_participants(read_settings())


def _findings(
    definition: Definition, others: Sequence[Definition], participants: Collection[str] | None
) -> Sequence[Finding]:
    """Return the findings of `verify`, and undeclared parts of the input, which only authors
    see."""
    findings = verify(definition, participants, others)
    return [*findings, *check_input_is_declared(definition)]


def _read(file: Path) -> Definition | Sequence[Finding]:
    """Return the definition in the file, or the findings if it cannot be parsed."""
    try:
        return parse_unverified_definition(parse_document(file, read_text(file)))
    except InvalidDefinition as error:
        return error.findings
    except UnreadableFile as error:
        return [Finding(code="unreadable", pointer="", detail=str(error))]


def _line_number(file: Path, pointer: str) -> int | None:
    """Return the line of what `pointer` names, or if that is missing, of what is around it.

    None if the file is not a document.
    """
    try:
        text = read_text(file)
        parse_document(file, text)
        # JSON is YAML but for the tabs between its parts.
        lines = line_numbers(text.replace("\t", " ") if is_json(file) else text)
    except (UnreadableFile, InvalidYaml):
        return None
    around = pointer
    while around not in lines:
        around = around.rpartition("/")[0]
    return lines[around]


LINT = Command(
    path=("definitions", "lint"),
    summary="Verify definition files",
    help=(
        "The files may name each other's definitions. The data is one object per finding:"
        " `file`, `line`, `pointer`, `severity`, `code` and `detail` (docs/findings.md); its id"
        " is the file. If the environment gives URLs of participants, others are warned of."
    ),
    run=lint,
    parameters=(
        click.Argument(
            ["files"],
            nargs=-1,
            required=True,
            metavar="FILE...",
            type=click.Path(path_type=Path),
        ),
    ),
    exit_codes={ExitCode.CHECK_FAILED: "a definition has an error"},
)
SCHEMA = Command(
    path=("definitions", "schema"),
    summary="Print the JSON Schema of the definition language, for editors",
    help="The data is one object, the schema; its id is the title of the schema.",
    run=schema,
)
