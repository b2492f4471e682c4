"""Memory is bounded by the sagas in flight: a short round of `make soak`."""

from __future__ import annotations

import subprocess
import sys

import pytest
from saga_orchestrator.tests.acceptance.program import ROOT, clean_environ

pytestmark = pytest.mark.slow

SOAK = (sys.executable, "benchmarks/soak.py", "--sagas", "2000", "--warm-up", "500")


def test_thousands_of_sagas_leave_nothing_in_memory() -> None:
    said = subprocess.run(
        SOAK,
        cwd=ROOT,
        env=clean_environ(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert said.returncode == 0, said.stdout + said.stderr
