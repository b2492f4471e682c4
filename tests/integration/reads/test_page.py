"""The operators' page, as it is served and, if there is one, in a browser."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from .conftest import Service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=3000",
    "--dump-dom",
)
ENOUGH_SECONDS = 60


async def test_the_page_needs_nothing_from_anywhere(service: Service) -> None:
    answer = await service.client.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+|@import|\burl\(", answer.text) == []
    assert "innerHTML" not in answer.text
    assert set(re.findall(r'(?:src|href)="([^"]*)"', answer.text)) == {"data:,", "docs", "metrics"}


async def test_only_its_own_script_may_run(service: Service) -> None:
    policy = (await service.client.get("/")).headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", policy)
    assert "unsafe" not in policy


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
async def test_a_parked_saga_is_shown_with_its_reason(service: Service, tmp_path: Path) -> None:
    saga_id = await service.start("stuck")

    async with served(service.app) as url:
        shown = await dom(url, tmp_path / "list")
        opened = await dom(f"{url}#saga={saga_id}", tmp_path / "one")

    assert shown.count(saga_id) == 2  # what the button says, and what it is found by
    assert "Healthy" in shown
    assert "signal go not received within 1ms" in shown
    assert "SagaParked" not in shown
    assert "SagaParked" in opened
    assert offered(opened) == ["retry", "cancel", "abandon", "resolve"]
    assert re.search(r'<select id="step"><option>approval</option></select>', opened)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
async def test_command_that_is_not_allowed_is_not_offered(service: Service, tmp_path: Path) -> None:
    saga_id = await service.start("quick")

    async with served(service.app) as url:
        opened = await dom(f"{url}#saga={saga_id}", tmp_path / "one")

    assert offered(opened) == ["compensate"]


def offered(page: str) -> list[str]:
    """What an operator can ask of the saga that is open."""
    buttons = re.findall(r'<button type="submit" value="(\w+)"([^>]*)>', page)
    return [verb for verb, attributes in buttons if "hidden" not in attributes]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
async def test_data_are_never_taken_for_markup(service: Service, tmp_path: Path) -> None:
    body = {"saga_type": "stuck", "entity_id": "<img src=x onerror=alert(1)>", "input": {}}
    await service.client.post("/sagas/start", json=body)

    async with served(service.app) as url:
        shown = await dom(url, tmp_path / "list")

    assert "&lt;img src=x" in shown
    assert "<img" not in shown


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
async def test_long_numbers_are_shown_with_all_digits(service: Service, tmp_path: Path) -> None:
    body = {"saga_type": "stuck", "entity_id": 2**53 + 1, "input": {"amount": 10**20 + 1}}
    saga_id = (await service.client.post("/sagas/start", json=body)).json()["saga_id"]

    async with served(service.app) as url:
        shown = await dom(url, tmp_path / "list")
        opened = await dom(f"{url}#saga={saga_id}", tmp_path / "one")

    assert "9007199254740993" in shown
    assert '"amount":100000000000000000001' in opened


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server._serve([door]))
            yield f"http://127.0.0.1:{door.getsockname()[1]}/"
            server.should_exit = True


async def dom(url: str, profile: Path) -> str:
    """What the page has become once its script has run."""
    assert CHROMIUM is not None
    async with asyncio.timeout(ENOUGH_SECONDS):
        browser = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={profile}",
            url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await browser.communicate()
    text = output.decode()
    # Without the script, whose text is part of the document.
    return re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
