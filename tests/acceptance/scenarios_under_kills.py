"""Plays the black-box scenarios against several nodes behind a front, one of which is killed every
few seconds.

    make acceptance-nodes                   two nodes
    make acceptance-nodes NODES=3 SEED=7    who is killed, and after how long, follows from the seed

The runner knows no kills: it does not ask again where an answer was lost, and a call that was sent
again is one too many. So a scenario that fails in a way that a cut explains is played once more
while kills go on; CUT says what was cut. Nothing else is excused, and at the end `saga doctor`
judges the log with every answer that the front passed on. The runner skips what needs a process of
its own, and says so.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.tests.acceptance.doctor_run import examine_log
from saga_orchestrator.tests.acceptance.explained_failures import (
    causes_of,
    history_of,
    is_explained,
    sagas_of,
)
from saga_orchestrator.tests.acceptance.load_balancer import LoadBalancer, Node, is_ready
from saga_orchestrator.tests.acceptance.load_balancer_messages import Request, ResponseReader
from saga_orchestrator.tests.acceptance.node_killer import NodeKiller
from saga_orchestrator.tests.acceptance.process import (
    SAGA_COMMAND,
    ServerProcess,
    clean_environ,
    free_port,
)

ROUNDS = 5  # a scenario that a kill cuts into in all of them has failed
VERDICT = re.compile(r"(PASS|FAIL|SKIP) (\S+)")
PUT_AWAY_WITHIN = 60  # seconds
RESTING = ("completed", "compensated", "parked", "abandoned")
TOLD = ("saga_id", "status", "version")
SHOWN = 3  # causes of a failure


@dataclass(slots=True)
class Played:
    """What the runner says of one round: the scenarios by verdict, and the problems of those that
    failed."""

    verdicts: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        if found := VERDICT.match(line):
            self.verdicts[found[2]] = found[1]
            self.problems[found[2]] = []
        elif line.startswith("  ") and self.problems:
            self.problems[[*self.problems][-1]].append(line)

    def those(self, verdict: str) -> list[str]:
        return [one for one, its in self.verdicts.items() if its == verdict]


@dataclass(slots=True)
class Answers:
    """What clients were told of sagas, as the doctor reads it."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, request: Request, answer: ResponseReader) -> None:
        told = answer.json_object if request.method == "POST" and 200 <= answer.status < 300 else {}
        if not {"saga_id", "status"} <= told.keys():
            return
        line: dict[str, Any] = {name: told[name] for name in TOLD if name in told}
        starts = request.target == "/sagas/start"
        key = (request.header("idempotency-key") or "").strip('"') if starts else ""
        self.lines.append({"at": datetime.now(UTC).isoformat(), "request": key or None, **line})


@dataclass(frozen=True, slots=True)
class Stage:
    """`runner` is how the scenarios are played but for which; `url` is that of the front."""

    folder: Path
    database_url: str
    front: LoadBalancer
    url: str
    killer: NodeKiller
    answers: Answers
    runner: Sequence[str]


def main() -> int:
    """0 if every scenario passed and the doctor found nothing."""
    given = options().parse_args()
    runner = [sys.executable, given.runner, "--ports", str(given.ports), "--jobs", str(given.jobs)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scenarios-")))
        server = stack.enter_context(embedded_server(folder / "data", tcp_port=free_port()))
        return asyncio.run(play(given, runner, folder, server.url))


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scenarios_of_nodes")
    parser.add_argument("runner")
    parser.add_argument("patterns", nargs="*", help="as the runner has them; none is all")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--ports", type=int, default=21000, help="first port of the participants")
    # Fewer than the runner's own number: more kills then fall into the time that it takes.
    parser.add_argument("--jobs", type=int, default=2, help="scenarios at a time")
    return parser


async def play(
    given: argparse.Namespace, runner: Sequence[str], folder: Path, database_url: str
) -> int:
    print(f"seed {given.seed}, {given.nodes} nodes", flush=True)
    async with a_stage(given, runner, folder, database_url) as stage:
        killing = asyncio.create_task(stage.killer.run())
        try:
            have_passed = await rounds(stage, given.patterns)
        finally:
            killing.cancel()
            with suppress(asyncio.CancelledError):
                await killing
        await stage.killer.restart_dead_nodes()
        is_well = await asyncio.to_thread(examined, stage)
    print(f"{len(stage.killer.kills)} kills, seed {given.seed}")
    return 0 if have_passed and is_well else 1


@asynccontextmanager
async def a_stage(
    given: argparse.Namespace, runner: Sequence[str], folder: Path, database_url: str
) -> AsyncIterator[Stage]:
    settings = {**await participants(runner), "DATABASE_URL": database_url}
    programs = {
        f"node {number}": node(folder / f"node-{number}.log", settings)
        for number in range(1, given.nodes + 1)
    }
    ports = {name: int(one.environ["SERVICE_PORT"]) for name, one in programs.items()}
    answers = Answers()
    front = LoadBalancer([Node(name, port) for name, port in ports.items()], answers.hear)
    killer = NodeKiller(programs, lambda name: is_ready(ports[name]), given.seed, say)
    try:
        await killer.restart_dead_nodes()
        async with front.running() as url:
            command = [*runner, "--url", url]
            yield Stage(folder, database_url, front, url, killer, answers, command)
    finally:
        await asyncio.gather(*(asyncio.to_thread(one.end) for one in programs.values()))


async def participants(runner: Sequence[str]) -> Mapping[str, str]:
    """The settings that say where the runner's participants will be."""
    asked = await asyncio.create_subprocess_exec(*runner, "--environment", stdout=PIPE)
    said, _ = await asked.communicate()
    lines = (one.removeprefix("export ").partition("=") for one in said.decode().splitlines())
    return {name: url for name, _, url in lines}


def node(log: Path, settings: Mapping[str, str]) -> ServerProcess:
    port = free_port()
    environ = clean_environ(SERVICE_PORT=str(port), **settings)
    return ServerProcess((*SAGA_COMMAND, "serve"), f"http://127.0.0.1:{port}", environ, log)


async def rounds(stage: Stage, patterns: Sequence[str]) -> bool:
    """Plays all of them, and again those that a kill cut into. Returns whether all passed."""
    failed: list[str] = []
    passed = skipped = 0
    for number in range(1, ROUNDS + 1):
        played, cut = await a_round(stage, patterns)
        passed += len(played.those("PASS"))
        skipped += len(played.those("SKIP"))
        failed += [one for one in played.those("FAIL") if one not in cut]
        if not cut:
            break
        say(f"round {number}: {len(cut)} to be played once more: {' '.join(cut)}")
        patterns = cut
    else:
        failed += patterns
    say(f"{passed} passed, {len(failed)} failed, {skipped} skipped: {' '.join(failed) or 'well'}")
    return bool(passed) and not failed


async def a_round(stage: Stage, patterns: Sequence[str]) -> tuple[Played, list[str]]:
    """The second are those of the failed ones that cuts explain."""
    began, before = datetime.now(UTC), len(stage.front.interruptions)
    played = await the_runner([*stage.runner, *patterns])
    cuts, kills = stage.front.interruptions[before:], stage.killer.kills
    say(f"cuts: {told(Counter(one.fate.name.lower() for one in cuts))}")
    found = await asyncio.to_thread(causes_of, stage.database_url, cuts, kills, began)
    causes = {one: found.get(one.lower(), ()) for one in played.those("FAIL")}
    for one, its in causes.items():
        for cause in its[:SHOWN]:
            say(f"CUT  {one:6} {cause.description}")
        if len(its) > SHOWN:
            say(f"CUT  {one:6} and {len(its) - SHOWN} more")
    cut = [one for one, its in causes.items() if is_explained(played.problems[one], its)]
    for one in causes.keys() - set(cut):
        for line in await asyncio.to_thread(history_of, stage.database_url, one, began):
            say(f"HISTORY {one} {line}")
    await put_away(stage, await asyncio.to_thread(sagas_of, stage.database_url, cut, began))
    return played, cut


async def put_away(stage: Stage, sagas: Sequence[str]) -> None:
    """Those that the runner was not told of go on; their calls would reach the next play."""
    patience = asyncio.timeout(PUT_AWAY_WITHIN)
    async with patience, httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=60) as web:
        for one in sagas:
            while not await is_put_away(web, f"/sagas/{one}"):
                pass


async def is_put_away(web: httpx.AsyncClient, saga: str) -> bool:
    """Whether it rests; it is asked to."""
    with suppress(httpx.TransportError):
        if (await web.get(f"{saga}/status")).json()["status"] in RESTING:
            return True
        await web.post(f"{saga}/abandon", json={"reason": "its scenario was cut"})
    return False


async def the_runner(command: Sequence[str]) -> Played:
    """Says what it says."""
    played = Played()
    playing = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert playing.stdout is not None
    async for said in playing.stdout:
        line = said.decode().rstrip()
        say(line)
        played.hear(line)
    await playing.wait()
    return played


def told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"


def examined(stage: Stage) -> bool:
    """Whether the doctor finds that every promise was kept."""
    environ = clean_environ(DATABASE_URL=stage.database_url)
    examination = examine_log(environ, stage.folder, (), stage.answers.lines)
    for one in examination.findings:
        say(f"doctor: {one['kind']}: {one['saga_id']}: {one['detail']}")
    say(f"doctor: {examination.summary}, {len(stage.answers.lines)} answers")
    return examination.exit_code == 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
