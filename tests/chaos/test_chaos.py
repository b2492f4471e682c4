"""A short round of it, with a schedule that has a bit of everything."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from saga_orchestrator.tests.acceptance.process import run_to_end

pytestmark = pytest.mark.slow

CHAOS = (sys.executable, "-m", "saga_orchestrator.tests.chaos")
ROUND = ("--seed", "32", "--seconds", "10", "--nodes", "2", "--load", "4")


def test_short_round_of_chaos_violates_no_invariant() -> None:
    said = run_to_end(*CHAOS, *ROUND, within=timedelta(minutes=5))

    assert said.returncode == 0, said.stdout + said.stderr
    assert "0 violations" in said.stdout
