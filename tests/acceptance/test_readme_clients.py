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


def test_python_client_reports_a_completed_order(house: Deployment) -> None:
    assert printed(house) == [
        "completed None",
        "create_order succeeded",
        "process_payment succeeded",
        "confirm_order succeeded",
    ]
    assert newest_order(house) == "CONFIRMED"


def test_python_client_reports_why_an_order_is_cancelled(house: Deployment) -> None:
    with house.declining():
        assert printed(house) == [
            "compensated process_payment was rejected: 402 card declined",
            "create_order compensated",
            "process_payment rejected",
            "confirm_order pending",
        ]
    assert newest_order(house) == "CANCELLED"


def test_curl_command_starts_an_order_that_completes(house: Deployment) -> None:
    (block,) = [one for one in README.blocks("sh") if "curl" in one]

    answer = json.loads(output_of("bash", "-euc", served(block, house)))

    assert (answer["status"], answer["success"], answer["error"]) == ("completed", True, None)
    assert newest_order(house) == "CONFIRMED"


def printed(house: Deployment) -> list[str]:
    """By the README's Python program, line by line."""
    (block,) = README.blocks("python")
    return output_of(sys.executable, "-c", served(block, house)).splitlines()


def served(block: str, house: Deployment) -> str:
    assert SERVED in block
    return block.replace(SERVED, house.service.url)


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


def newest_order(house: Deployment) -> str:
    return str(house.orders.get("/orders").json()["orders"][0]["status"])
