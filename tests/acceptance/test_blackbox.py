"""Every black-box scenario passes, and the black box fails where it should."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from saga_orchestrator.tests.acceptance.process import SAGA_COMMAND, free_port, run_to_end
from saga_orchestrator.tests.acceptance.scenarios import BLACKBOX

pytestmark = pytest.mark.slow

# Other ports than those of `make acceptance`, which may run at the same time.
FIRST_PORT: Final = "23000"
UNKNOWN_SAGA: Final = "GET /sagas/00000000-0000-7000-8000-000000000000/status"
REFUSED: Final[dict[str, Any]] = {"definition": ["a1/c1", "a2/c2"], "script": {"a2": 409}}
# A false expectation of each sort, and the reason that the report must give.
FALSE_EXPECTATIONS: Final[Mapping[str, dict[str, Any]]] = {
    "status: 'compensated' is not 'completed'": {**REFUSED, "expect": {"status": "completed"}},
    "calls: a1 a2 c1; expected": {**REFUSED, "expect": {"calls": ["a1", "a2"]}},
    "counts.c1: 1 is not 0": {**REFUSED, "expect": {"counts": {"c1": 0}}},
    "effects.a1: 1 is not 2": {**REFUSED, "expect": {"effects": {"a1": 2}}},
    "steps.s1.status: 'compensated' is not 'succeeded'": {
        **REFUSED,
        "expect": {"steps": {"s1": "succeeded"}},
    },
    "events: nothing is {'type': 'SagaCompleted'}": {
        **REFUSED,
        "expect": {"events": {"has": [{"type": "SagaCompleted"}]}},
    },
    "saga-attempt: '1' is not '2'": {
        **REFUSED,
        "expect": {"headers": {"a1": {"saga-attempt": "2"}}},
    },
    ".http: 404 is not within": {"do": [{"request": UNKNOWN_SAGA}]},
    ".reply.retryable: False is not True": {
        "do": [{"request": UNKNOWN_SAGA, "expect": {"http": 404, "reply": {"retryable": True}}}]
    },
    "a1 was called 1 times, not 2": {
        **REFUSED,
        "do": ["start", {"until": "a1 x2", "within": "100ms"}],
    },
    "KeyError: 'ponder'": {"do": ["ponder"]},
}
TRUE_EXPECTATION: Final = {**REFUSED, "expect": {"status": "compensated"}}


def test_every_scenario_passes() -> None:
    command = (sys.executable, "-m", "saga_orchestrator.tests.acceptance.scenarios")

    report = run_to_end(*command, "--ports", FIRST_PORT, within=timedelta(minutes=15))

    assert report.returncode == 0, report.stdout + report.stderr
    assert report.stdout.endswith(" passed, 0 failed, 0 skipped\n")


def test_every_false_expectation_is_reported(tmp_path: Path) -> None:
    scenarios = [
        {"id": f"X{number}", "title": reason, "source": "-", **scenario}
        for number, (reason, scenario) in enumerate(FALSE_EXPECTATIONS.items())
    ]
    scenarios.append({"id": "Y", "title": "true", "source": "-", **TRUE_EXPECTATION})
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(scenarios, sort_keys=False))

    report = play(tmp_path)

    assert report.returncode == 1
    assert f"1 passed, {len(FALSE_EXPECTATIONS)} failed, 0 skipped" in report.stdout
    for number, reason in enumerate(FALSE_EXPECTATIONS):
        failure = re.search(rf"^FAIL X{number} .*\n(       .*\n)+", report.stdout, re.MULTILINE)
        assert failure is not None
        assert reason in failure[0].partition("\n")[2]


def play(scenarios: Path) -> subprocess.CompletedProcess[str]:
    options = ("--serve", f"{SAGA_COMMAND[0]} serve", "--scenarios", str(scenarios))
    ports = ("--ports", str(free_port()))
    return run_to_end(*BLACKBOX, *options, *ports, within=timedelta(minutes=5))


def test_run_in_which_nothing_passes_fails(tmp_path: Path) -> None:
    report = play(tmp_path)

    assert (report.returncode, report.stdout.splitlines()[-1]) == (
        1,
        "0 passed, 0 failed, 0 skipped",
    )
