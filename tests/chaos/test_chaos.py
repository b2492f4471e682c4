"""A short round of chaos, with all sorts of faults."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from saga_orchestrator.tests.acceptance.process import run_to_end

pytestmark = pytest.mark.slow

CHAOS = (sys.executable, "-m", "saga_orchestrator.tests.chaos")
ROUND = ("--seed", "32", "--seconds", "10", "--nodes", "2", "--load", "4")


def test_short_round_of_chaos_violates_no_invariant() -> None:
    ran = run_to_end(*CHAOS, *ROUND, within=timedelta(minutes=5))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 violations" in ran.stdout
