"""Runs of `saga doctor`, with the ledger of participants and the responses to clients."""

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
    """What `saga doctor` printed: findings, and a summary on standard error."""

    exit_code: int
    findings: list[dict[str, Any]]
    summary: str

    @property
    def violations(self) -> list[tuple[str, str]]:
        """Invariant and saga of each violation."""
        violations = (each for each in self.findings if each["kind"] == "violation")
        return [(each["code"], each["saga_id"]) for each in violations]


def examine_log(
    environ: Mapping[str, str], folder: Path, calls: Iterable[Line], answers: Iterable[Line]
) -> DoctorReport:
    """Run the doctor on the log and on what participants and clients have recorded."""
    ledger = write_jsonl(folder / "ledger.jsonl", calls)
    responses = write_jsonl(folder / "answers.jsonl", answers)
    ran = run_doctor(environ, "-o", "jsonl", "--ledger", str(ledger), "--answers", str(responses))
    findings = [json.loads(line) for line in ran.stdout.splitlines()]
    return DoctorReport(ran.returncode, findings, ran.stderr.splitlines()[-1])


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
