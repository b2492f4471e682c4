"""Findings: what is wrong with a document, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault of a document, for its author; `pointer` is an RFC 6901 pointer to its place."""

    code: str
    pointer: str
    detail: str
    severity: Severity = Severity.ERROR


def error(code: str, pointer: str, detail: str) -> Finding:
    return Finding(code=code, pointer=pointer, detail=detail)


def warning(code: str, pointer: str, detail: str) -> Finding:
    return Finding(code=code, pointer=pointer, detail=detail, severity=Severity.WARNING)


class InvalidDocument(Exception):
    """A document that is refused; `findings` has all its errors."""

    whole: ClassVar[str] = "the document"  # names the place of a finding without a pointer

    def __init__(self, findings: Sequence[Finding]) -> None:
        places = ((finding.pointer or self.whole, finding.detail) for finding in findings)
        super().__init__("; ".join(f"{place}: {detail}" for place, detail in places))
        self.findings = tuple(findings)


class InvalidDefinition(InvalidDocument):
    """A definition that cannot be registered."""

    whole = "the definition"


class InvalidInput(InvalidDocument):
    """The input of a start that does not fit its definition."""

    whole = "the body"
