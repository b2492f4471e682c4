"""Memory is bounded by the sagas in flight: a short round of `make soak`."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from saga_orchestrator.tests.acceptance.process import run_to_end

pytestmark = pytest.mark.slow

SOAK = (sys.executable, "benchmarks/soak.py", "--sagas", "2000", "--warm-up", "500")


def test_memory_does_not_grow_with_finished_sagas() -> None:
    said = run_to_end(*SOAK, within=timedelta(minutes=5))

    assert said.returncode == 0, said.stdout + said.stderr
