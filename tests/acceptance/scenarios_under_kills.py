"""Play the black-box scenarios against several nodes behind a load balancer, and kill nodes.

    make acceptance-nodes                   two nodes
    make acceptance-nodes NODES=3 SEED=7    the kills are a function of the seed

The black box does not expect kills: it does not repeat a request whose response was lost, and a
call that was sent again is one too many. So a scenario that fails in a way that a kill explains is
played once more while kills go on; lines with CUT name the cause. Nothing else is excused, and at
the end `saga doctor` checks the log with every response that the load balancer forwarded. Scenarios
that need a process of their own are skipped.
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
from saga_orchestrator.tests.acceptance.scenarios import BLACKBOX

ROUNDS = 5  # a scenario that kills interrupt in all of them has failed
VERDICT = re.compile(r"(PASS|FAIL|SKIP) (\S+)")
PUT_AWAY_WITHIN = 60  # seconds
RESTING = ("completed", "compensated", "parked", "abandoned")
TOLD = ("saga_id", "status", "version")
SHOWN = 3  # causes of a failure


@dataclass(slots=True)
class Played:
    """The report of one round: the verdicts, and the problems of the scenarios that failed."""

    verdicts: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        if match := VERDICT.match(line):
            self.verdicts[match[2]] = match[1]
            self.problems[match[2]] = []
        elif line.startswith("  ") and self.problems:
            self.problems[[*self.problems][-1]].append(line)

    def those(self, verdict: str) -> list[str]:
        return [each for each, its_verdict in self.verdicts.items() if its_verdict == verdict]


@dataclass(slots=True)
class Answers:
    """Responses to clients about sagas, in the form that the doctor reads."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, request: Request, answer: ResponseReader) -> None:
        body = answer.json_object if request.method == "POST" and 200 <= answer.status < 300 else {}
        if not {"saga_id", "status"} <= body.keys():
            return
        line: dict[str, Any] = {name: body[name] for name in TOLD if name in body}
        starts = request.target == "/sagas/start"
        key = (request.header("idempotency-key") or "").strip('"') if starts else ""
        self.lines.append({"at": datetime.now(UTC).isoformat(), "request": key or None, **line})


@dataclass(frozen=True, slots=True)
class Stage:
    """`runner` is the command of the black box without patterns; `url` is that of the front."""

    folder: Path
    database_url: str
    front: LoadBalancer
    url: str
    killer: NodeKiller
    answers: Answers
    runner: Sequence[str]


def main() -> int:
    """Return 0 if every scenario passed and the doctor found no violation."""
    given = options().parse_args()
    runner = [*BLACKBOX, "--ports", str(given.ports), "--jobs", str(given.jobs)]
    if given.beside is not None:
        runner += ["--beside", str(given.beside)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scenarios-")))
        server = stack.enter_context(embedded_server(folder / "data", tcp_port=free_port()))
        return asyncio.run(play(given, runner, folder, server.url))


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scenarios_of_nodes")
    parser.add_argument("patterns", nargs="*", help="ids or file names of scenarios; default all")
    parser.add_argument("--beside", type=Path, help="more scenarios, if the folder exists")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--ports", type=int, default=21000, help="first port of the participants")
    # Few, so that the run takes long enough for many kills.
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
    """Return the settings with the URLs of the participants."""
    process = await asyncio.create_subprocess_exec(*runner, "--environment", stdout=PIPE)
    output, _ = await process.communicate()
    lines = (line.removeprefix("export ").partition("=") for line in output.decode().splitlines())
    return {name: url for name, _, url in lines}


def node(log: Path, settings: Mapping[str, str]) -> ServerProcess:
    port = free_port()
    environ = clean_environ(SERVICE_PORT=str(port), **settings)
    return ServerProcess((*SAGA_COMMAND, "serve"), f"http://127.0.0.1:{port}", environ, log)


async def rounds(stage: Stage, patterns: Sequence[str]) -> bool:
    """Play the scenarios, and again those that a kill interrupted. Return True if all passed."""
    failed: list[str] = []
    passed = skipped = 0
    for number in range(1, ROUNDS + 1):
        played, cut = await a_round(stage, patterns)
        passed += len(played.those("PASS"))
        skipped += len(played.those("SKIP"))
        failed += [each for each in played.those("FAIL") if each not in cut]
        if not cut:
            break
        say(f"round {number}: {len(cut)} to be played once more: {' '.join(cut)}")
        patterns = cut
    else:
        failed += patterns
    names = " ".join(failed) or "all well"
    say(f"{passed} passed, {len(failed)} failed, {skipped} skipped: {names}")
    return bool(passed) and not failed


async def a_round(stage: Stage, patterns: Sequence[str]) -> tuple[Played, list[str]]:
    """Play one round; return the report, and the failed scenarios that kills explain."""
    began, before = datetime.now(UTC), len(stage.front.interruptions)
    played = await the_runner([*stage.runner, *patterns])
    cuts, kills = stage.front.interruptions[before:], stage.killer.kills
    say(f"cuts: {told(Counter(cut.fate.name.lower() for cut in cuts))}")
    by_scenario = await asyncio.to_thread(causes_of, stage.database_url, cuts, kills, began)
    causes = {each: by_scenario.get(each.lower(), ()) for each in played.those("FAIL")}
    for scenario, its_causes in causes.items():
        for cause in its_causes[:SHOWN]:
            say(f"CUT  {scenario:6} {cause.description}")
        if len(its_causes) > SHOWN:
            say(f"CUT  {scenario:6} and {len(its_causes) - SHOWN} more")
    cut = [each for each, its in causes.items() if is_explained(played.problems[each], its)]
    for scenario in causes.keys() - set(cut):
        for line in await asyncio.to_thread(history_of, stage.database_url, scenario, began):
            say(f"HISTORY {scenario} {line}")
    await put_away(stage, await asyncio.to_thread(sagas_of, stage.database_url, cut, began))
    return played, cut


async def put_away(stage: Stage, sagas: Sequence[str]) -> None:
    """Abandon sagas that still run: their calls would reach the next round."""
    patience = asyncio.timeout(PUT_AWAY_WITHIN)
    async with patience, httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=60) as web:
        for saga_id in sagas:
            while not await is_put_away(web, f"/sagas/{saga_id}"):
                pass


async def is_put_away(web: httpx.AsyncClient, saga: str) -> bool:
    """True if the saga rests; otherwise ask for its end."""
    with suppress(httpx.TransportError):
        if (await web.get(f"{saga}/status")).json()["status"] in RESTING:
            return True
        await web.post(f"{saga}/abandon", json={"reason": "its scenario was interrupted"})
    return False


async def the_runner(command: Sequence[str]) -> Played:
    """Run the black box, print its report and return it."""
    played = Played()
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    async for output in process.stdout:
        line = output.decode().rstrip()
        say(line)
        played.hear(line)
    await process.wait()
    return played


def told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"


def examined(stage: Stage) -> bool:
    """Print what the doctor finds; return True if it finds no violation."""
    environ = clean_environ(DATABASE_URL=stage.database_url)
    examination = examine_log(environ, stage.folder, (), stage.answers.lines)
    for finding in examination.findings:
        say(f"doctor: {finding['kind']}: {finding['saga_id']}: {finding['detail']}")
    say(f"doctor: {examination.summary}, {len(stage.answers.lines)} responses")
    return examination.exit_code == 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
