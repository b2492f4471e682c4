"""The two sorts of findings."""

from __future__ import annotations

from ..errors import Finding, Severity


def error(code: str, pointer: str, detail: str) -> Finding:
    return Finding(code=code, pointer=pointer, detail=detail)


def warning(code: str, pointer: str, detail: str) -> Finding:
    return Finding(code=code, pointer=pointer, detail=detail, severity=Severity.WARNING)
