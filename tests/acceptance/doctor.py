"""`saga doctor`, told what participants and clients have seen."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saga_orchestrator.tests.acceptance.program import ROOT, SAGA
from saga_orchestrator.tests.acceptance.waiting import ENOUGH

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Examination:
    code: int
    findings: list[dict[str, Any]]
    counted: str  # the last line that it says beside them

    @property
    def violations(self) -> list[tuple[str, str]]:
        """Promise and saga of each."""
        broken = (one for one in self.findings if one["kind"] == "violation")
        return [(one["code"], one["saga_id"]) for one in broken]


def examine(
    environ: Mapping[str, str], folder: Path, calls: Iterable[Line], answers: Iterable[Line]
) -> Examination:
    ledger = written(folder / "ledger.jsonl", calls)
    told = written(folder / "answers.jsonl", answers)
    said = doctor(environ, "--json", "--ledger", str(ledger), "--answers", str(told))
    findings = [json.loads(line) for line in said.stdout.splitlines()]
    return Examination(said.returncode, findings, said.stderr.splitlines()[-1])


def doctor(environ: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    arguments: Sequence[str] = (*SAGA, "doctor", *options)
    return subprocess.run(
        arguments,
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=ENOUGH.total_seconds(),
        check=False,
    )


def written(file: Path, lines: Iterable[Line]) -> Path:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file
