"""What the README tells its first users to run, as it stands there, on the port of this service."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from saga_orchestrator.tests.acceptance.deployment import Deployment
from saga_orchestrator.tests.acceptance.process import clean_environ
from saga_orchestrator.tests.docs.markdown import document
from saga_orchestrator.tests.support.waiting import TIME_LIMIT

pytestmark = pytest.mark.slow

SERVED = "http://127.0.0.1:8009"
README = document("README.md")


def test_python_client_reports_a_completed_order(deployment: Deployment) -> None:
    assert printed(deployment) == [
        "completed None",
        "create_order succeeded",
        "process_payment succeeded",
        "confirm_order succeeded",
    ]
    assert newest_order(deployment) == "CONFIRMED"


def test_python_client_reports_why_an_order_is_cancelled(deployment: Deployment) -> None:
    with deployment.declining():
        assert printed(deployment) == [
            "compensated process_payment was rejected: 402 card declined",
            "create_order compensated",
            "process_payment rejected",
            "confirm_order pending",
        ]
    assert newest_order(deployment) == "CANCELLED"


def test_curl_command_starts_an_order_that_completes(deployment: Deployment) -> None:
    (block,) = [block for block in README.blocks("sh") if "curl" in block]

    answer = json.loads(output_of("bash", "-euc", served(block, deployment)))

    assert (answer["status"], answer["success"], answer["error"]) == ("completed", True, None)
    assert newest_order(deployment) == "CONFIRMED"


def printed(deployment: Deployment) -> list[str]:
    """By the README's Python program, line by line."""
    (block,) = README.blocks("python")
    return output_of(sys.executable, "-c", served(block, deployment)).splitlines()


def served(block: str, deployment: Deployment) -> str:
    assert SERVED in block
    return block.replace(SERVED, deployment.service.url)


def output_of(*arguments: str) -> str:
    ran = subprocess.run(
        arguments,
        env=clean_environ(NO_PROXY="*", no_proxy="*"),
        capture_output=True,
        text=True,
        check=True,
        timeout=TIME_LIMIT.total_seconds(),
    )
    return ran.stdout


def newest_order(deployment: Deployment) -> str:
    return str(deployment.orders.get("/orders").json()["orders"][0]["status"])
