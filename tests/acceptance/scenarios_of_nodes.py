"""Plays the black-box scenarios against several nodes, one of which is killed every few seconds.

    python -m saga_orchestrator.tests.acceptance.scenarios_of_nodes NODES RUNNER [its arguments]

The runner skips what needs a process of its own, and says so.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from saga_orchestrator.eventstore import embedded_server
from saga_orchestrator.tests.acceptance.front import Front
from saga_orchestrator.tests.acceptance.program import SAGA, Program, clean_environ, free_port

KILL_EVERY_SECONDS = 4


def main(arguments: Sequence[str]) -> int:
    """The exit code of the runner."""
    nodes, *runner = arguments
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scenarios-")))
        server = stack.enter_context(embedded_server(folder / "data", tcp_port=free_port()))
        settings = {**_environment(runner), "DATABASE_URL": server.url}
        programs = [_node(folder, settings) for _ in range(int(nodes))]
        for one in programs:
            stack.callback(one.end)
            one.start()
        return asyncio.run(_play(programs, runner))


def _environment(runner: Sequence[str]) -> dict[str, str]:
    """Where the runner's participants will be."""
    command = [sys.executable, *runner, "--environment"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = (one.removeprefix("export ").partition("=") for one in said.splitlines())
    return {name: url for name, _, url in lines}


def _node(folder: Path, settings: dict[str, str]) -> Program:
    port = free_port()
    environ = clean_environ(SERVICE_PORT=str(port), **settings)
    return Program(
        (*SAGA, "serve"), f"http://127.0.0.1:{port}", environ, folder / f"node-{port}.log"
    )


async def _play(programs: Sequence[Program], runner: Sequence[str]) -> int:
    front = Front([int(one.environ["SERVICE_PORT"]) for one in programs])
    async with front.running() as url:
        playing = await asyncio.create_subprocess_exec(sys.executable, *runner, "--url", url)
        killing = asyncio.create_task(_kill_at_random(programs))
        try:
            return await playing.wait()
        finally:
            killing.cancel()
            with suppress(asyncio.CancelledError):
                await killing


async def _kill_at_random(programs: Sequence[Program]) -> None:
    kills = 0
    try:
        while True:
            await asyncio.sleep(KILL_EVERY_SECONDS)
            victim = random.choice(programs)
            victim.kill()
            kills += 1
            victim.launch()
    finally:
        print(f"{kills} kills")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
