"""Findings: what is wrong with a document, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..errors import SagaError


def error(code: str, pointer: str, detail: str) -> Finding:
    return Finding(code=code, pointer=pointer, detail=detail)


def warning(code: str, pointer: str, detail: str) -> Finding:
    return Finding(code=code, pointer=pointer, detail=detail, severity=Severity.WARNING)


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a document that its author should know; `pointer` is an RFC 6901 pointer."""

    code: str
    pointer: str
    detail: str
    severity: Severity = Severity.ERROR


class InvalidDefinition(SagaError):
    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "; ".join(f"{one.pointer or 'the definition'}: {one.detail}" for one in findings)
        )
        self.findings = tuple(findings)


class InvalidInput(SagaError):
    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "; ".join(f"{one.pointer or 'the body'}: {one.detail}" for one in findings)
        )
        self.findings = tuple(findings)
