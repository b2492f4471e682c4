"""A service that has failed ends, so that its supervisor can start it again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from saga_orchestrator.tests.acceptance.process import ServerProcess, clean_environ, free_port
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FAILING = "saga_orchestrator.tests.acceptance.failing_service"
UVICORN = (str(Path(sys.executable).with_name("uvicorn")), f"{FAILING}:app", "--port")
WAYS: Mapping[str, Sequence[str]] = {
    "our server": (sys.executable, "-m", FAILING),
    "uvicorn": UVICORN,
    "uvicorn on asyncio": (*UVICORN[:-1], "--loop", "asyncio", "--port"),
}


@pytest.mark.parametrize("arguments", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("stuck", ["", "task", "thread", "loop"])
def test_process_ends_with_an_exit_code_when_a_part_fails(
    arguments: Sequence[str], stuck: str, tmp_path: Path
) -> None:
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    program = ServerProcess((*arguments, str(port)), url, clean_environ(STUCK=stuck), log)
    program.launch()
    try:
        wait_until(lambda: answers(url), "it serves")

        assert program.wait() == 1
    finally:
        program.end()

    cause = "a part has failed" if stuck in ("", "thread") else "Timeout"
    assert cause in log.read_text()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
