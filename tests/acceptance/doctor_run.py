"""`saga doctor`, told what participants and clients have seen."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saga_orchestrator.tests.acceptance.process import ROOT, SAGA_COMMAND
from saga_orchestrator.tests.support.waiting import TIME_LIMIT

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DoctorReport:
    exit_code: int
    findings: list[dict[str, Any]]
    summary: str  # the last line that it says beside them

    @property
    def violations(self) -> list[tuple[str, str]]:
        """Promise and saga of each."""
        broken = (one for one in self.findings if one["kind"] == "violation")
        return [(one["code"], one["saga_id"]) for one in broken]


def examine_log(
    environ: Mapping[str, str], folder: Path, calls: Iterable[Line], answers: Iterable[Line]
) -> DoctorReport:
    ledger = write_jsonl(folder / "ledger.jsonl", calls)
    told = write_jsonl(folder / "answers.jsonl", answers)
    said = run_doctor(environ, "--json", "--ledger", str(ledger), "--answers", str(told))
    findings = [json.loads(line) for line in said.stdout.splitlines()]
    return DoctorReport(said.returncode, findings, said.stderr.splitlines()[-1])


def run_doctor(environ: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    arguments: Sequence[str] = (*SAGA_COMMAND, "doctor", *options)
    return subprocess.run(
        arguments,
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT.total_seconds(),
        check=False,
    )


def write_jsonl(file: Path, lines: Iterable[Line]) -> Path:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file
