"""A few of the black-box scenarios, played while two nodes are killed in turn."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import Final

import pytest
from saga_orchestrator.tests.acceptance.load_balancer_messages import Request, ResponseReader
from saga_orchestrator.tests.acceptance.process import run_to_end
from saga_orchestrator.tests.acceptance.scenarios_under_kills import ResponseLog, RoundReport

COMMAND: Final = (sys.executable, "-m", "saga_orchestrator.tests.acceptance.scenarios_under_kills")
# Other ports than those of `make acceptance`, which may run at the same time.
ROUND: Final = ("--seed", "4", "--jobs", "1", "--ports", "27000")
SCENARIOS: Final = (
    *("A05", "A20", "A33", "A35", "D02", "D05", "D30", "G06", "G12", "G15"),
    *("G26", "H01", "K01", "L09", "P01", "S28", "S29", "S35"),
)
REPORT: Final = """\
PASS D05    the same start again (0.4 s)
FAIL G12    twenty equal starts (0.3 s)
       counts.a1: 2 is not 1
       calls: a1 a1
SKIP G11a   a node is killed (needs --database-url)
1 passed, 1 failed, 1 skipped
"""


@pytest.mark.slow
def test_scenarios_pass_while_nodes_are_killed() -> None:
    ran = run_to_end(*COMMAND, *ROUND, *SCENARIOS, within=timedelta(minutes=5))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(SCENARIOS)} passed, 0 failed, 0 skipped: all well" in ran.stdout
    assert re.search(r"\d+ sagas, \d+ events, 0 violations, \d+ responses", ran.stdout)
    kills = re.search(r"^(\d+) kills, seed 4$", ran.stdout, re.MULTILINE)
    assert kills is not None
    assert int(kills[1]) >= 2


def test_report_of_the_black_box_is_parsed() -> None:
    report = RoundReport()
    for line in REPORT.splitlines():
        report.feed(line)

    assert report.results == {"D05": "PASS", "G12": "FAIL", "G11a": "SKIP"}
    assert report.problems["G12"] == ["       counts.a1: 2 is not 1", "       calls: a1 a1"]
    assert report.with_result("FAIL") == ["G12"]


def test_responses_about_sagas_are_recorded_for_the_doctor() -> None:
    responses = ResponseLog()
    start = Request("POST", "/sagas/start", (("idempotency-key", '"order-1"'),))
    pause = Request("POST", "/sagas/1/pause")
    responses.feed(start, response(202, '{"saga_id": "1", "status": "running"}'))
    responses.feed(pause, response(200, '{"saga_id": "1", "status": "running", "version": 4}'))
    responses.feed(pause, response(409, '{"saga_id": "1", "status": 409}'))
    responses.feed(Request("POST", "/bulk"), response(202, '{"job_id": "7"}'))

    lines = [{name: line[name] for name in line if name != "at"} for line in responses.lines]
    assert lines == [
        {"request": "order-1", "saga_id": "1", "status": "running"},
        {"request": None, "saga_id": "1", "status": "running", "version": 4},
    ]


def response(status: int, body: str) -> ResponseReader:
    reader = ResponseReader()
    head = f"HTTP/1.1 {status} said\r\ncontent-length: {len(body)}\r\n\r\n"
    reader.feed(f"{head}{body}".encode())
    assert reader.is_whole
    return reader
