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
ABANDON_TIMEOUT_SECONDS = 60
RESTING = ("completed", "compensated", "parked", "abandoned")
RECORDED_MEMBERS = ("saga_id", "status", "version")
MAX_SHOWN_CAUSES = 3  # causes of a failure


@dataclass(slots=True)
class RoundReport:
    """The report of one round: the verdicts, and the problems of the scenarios that failed."""

    results: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        if match := VERDICT.match(line):
            self.results[match[2]] = match[1]
            self.problems[match[2]] = []
        elif line.startswith("  ") and self.problems:
            self.problems[[*self.problems][-1]].append(line)

    def with_result(self, result: str) -> list[str]:
        return [each for each, its_result in self.results.items() if its_result == result]


@dataclass(slots=True)
class ResponseLog:
    """Responses to clients about sagas, in the form that the doctor reads."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def feed(self, request: Request, answer: ResponseReader) -> None:
        body = answer.json_object if request.method == "POST" and 200 <= answer.status < 300 else {}
        if not {"saga_id", "status"} <= body.keys():
            return
        line: dict[str, Any] = {name: body[name] for name in RECORDED_MEMBERS if name in body}
        starts = request.target == "/sagas/start"
        key = (request.header("idempotency-key") or "").strip('"') if starts else ""
        self.lines.append({"at": datetime.now(UTC).isoformat(), "request": key or None, **line})


@dataclass(frozen=True, slots=True)
class KillRun:
    """`runner` is the command of the black box; `url` is that of the load balancer."""

    folder: Path
    database_url: str
    load_balancer: LoadBalancer
    url: str
    node_killer: NodeKiller
    answers: ResponseLog
    runner: Sequence[str]


def main() -> int:
    """Return 0 if every scenario passed and the doctor found no violation."""
    options = argument_parser().parse_args()
    runner = [*BLACKBOX, "--ports", str(options.ports), "--jobs", str(options.jobs)]
    if options.beside is not None:
        runner += ["--beside", str(options.beside)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scenarios-")))
        server = stack.enter_context(embedded_server(folder / "data", tcp_port=free_port()))
        return asyncio.run(play(options, runner, folder, server.url))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scenarios_under_kills")
    parser.add_argument("patterns", nargs="*", help="ids or file names of scenarios; default all")
    parser.add_argument("--beside", type=Path, help="more scenarios, if the folder exists")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--ports", type=int, default=21000, help="first port of the participants")
    # Few, so that the run takes long enough for many kills.
    parser.add_argument("--jobs", type=int, default=2, help="scenarios at a time")
    return parser


async def play(
    options: argparse.Namespace, runner: Sequence[str], folder: Path, database_url: str
) -> int:
    print(f"seed {options.seed}, {options.nodes} nodes", flush=True)
    async with kill_run(options, runner, folder, database_url) as run:
        killing = asyncio.create_task(run.node_killer.run())
        try:
            have_passed = await play_rounds(run, options.patterns)
        finally:
            killing.cancel()
            with suppress(asyncio.CancelledError):
                await killing
        await run.node_killer.restart_dead_nodes()
        is_well = await asyncio.to_thread(has_no_violation, run)
    print(f"{len(run.node_killer.kills)} kills, seed {options.seed}")
    return 0 if have_passed and is_well else 1


@asynccontextmanager
async def kill_run(
    options: argparse.Namespace, runner: Sequence[str], folder: Path, database_url: str
) -> AsyncIterator[KillRun]:
    settings = {**await participants(runner), "DATABASE_URL": database_url}
    programs = {
        f"node {number}": node(folder / f"node-{number}.log", settings)
        for number in range(1, options.nodes + 1)
    }
    ports = {name: int(each.environ["SERVICE_PORT"]) for name, each in programs.items()}
    answers = ResponseLog()
    load_balancer = LoadBalancer([Node(name, port) for name, port in ports.items()], answers.feed)
    node_killer = NodeKiller(programs, lambda name: is_ready(ports[name]), options.seed, log)
    try:
        await node_killer.restart_dead_nodes()
        async with load_balancer.running() as url:
            command = [*runner, "--url", url]
            yield KillRun(folder, database_url, load_balancer, url, node_killer, answers, command)
    finally:
        await asyncio.gather(*(asyncio.to_thread(each.end) for each in programs.values()))


async def participants(runner: Sequence[str]) -> Mapping[str, str]:
    """Return the settings with the URLs of the participants."""
    process = await asyncio.create_subprocess_exec(*runner, "--environment", stdout=PIPE)
    output, _ = await process.communicate()
    lines = (line.removeprefix("export ").partition("=") for line in output.decode().splitlines())
    return {name: url for name, _, url in lines}


def node(file: Path, settings: Mapping[str, str]) -> ServerProcess:
    port = free_port()
    environ = clean_environ(SERVICE_PORT=str(port), **settings)
    return ServerProcess((*SAGA_COMMAND, "serve"), f"http://127.0.0.1:{port}", environ, file)


async def play_rounds(run: KillRun, patterns: Sequence[str]) -> bool:
    """Play the scenarios, and again those that a kill interrupted. Return True if all passed."""
    failed: list[str] = []
    passed = skipped = 0
    for number in range(1, ROUNDS + 1):
        report, cut = await play_round(run, patterns)
        passed += len(report.with_result("PASS"))
        skipped += len(report.with_result("SKIP"))
        failed += [each for each in report.with_result("FAIL") if each not in cut]
        if not cut:
            break
        log(f"round {number}: {len(cut)} to be played once more: {' '.join(cut)}")
        patterns = cut
    else:
        failed += patterns
    names = " ".join(failed) or "all well"
    log(f"{passed} passed, {len(failed)} failed, {skipped} skipped: {names}")
    return bool(passed) and not failed


async def play_round(run: KillRun, patterns: Sequence[str]) -> tuple[RoundReport, list[str]]:
    """Play one round; return the report, and the failed scenarios that kills explain."""
    began, before = datetime.now(UTC), len(run.load_balancer.interruptions)
    report = await run_black_box([*run.runner, *patterns])
    cuts, kills = run.load_balancer.interruptions[before:], run.node_killer.kills
    log(f"cuts: {listed(Counter(cut.fate.name.lower() for cut in cuts))}")
    by_scenario = await asyncio.to_thread(causes_of, run.database_url, cuts, kills, began)
    causes = {each: by_scenario.get(each.lower(), ()) for each in report.with_result("FAIL")}
    for scenario, its_causes in causes.items():
        for cause in its_causes[:MAX_SHOWN_CAUSES]:
            log(f"CUT  {scenario:6} {cause.description}")
        if len(its_causes) > MAX_SHOWN_CAUSES:
            log(f"CUT  {scenario:6} and {len(its_causes) - MAX_SHOWN_CAUSES} more")
    cut = [each for each, its in causes.items() if is_explained(report.problems[each], its)]
    for scenario in causes.keys() - set(cut):
        for line in await asyncio.to_thread(history_of, run.database_url, scenario, began):
            log(f"HISTORY {scenario} {line}")
    await abandon_running(run, await asyncio.to_thread(sagas_of, run.database_url, cut, began))
    return report, cut


async def abandon_running(run: KillRun, sagas: Sequence[str]) -> None:
    """Abandon sagas that still run: their calls would reach the next round."""
    patience = asyncio.timeout(ABANDON_TIMEOUT_SECONDS)
    async with patience, httpx.AsyncClient(base_url=run.url, trust_env=False, timeout=60) as web:
        for saga_id in sagas:
            while not await is_at_rest(web, f"/sagas/{saga_id}"):
                pass


async def is_at_rest(web: httpx.AsyncClient, saga: str) -> bool:
    """True if the saga rests; otherwise ask for its end."""
    with suppress(httpx.TransportError):
        if (await web.get(f"{saga}/status")).json()["status"] in RESTING:
            return True
        await web.post(f"{saga}/abandon", json={"reason": "its scenario was interrupted"})
    return False


async def run_black_box(command: Sequence[str]) -> RoundReport:
    """Run the black box, print its report and return it."""
    report = RoundReport()
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    async for output in process.stdout:
        line = output.decode().rstrip()
        log(line)
        report.feed(line)
    await process.wait()
    return report


def listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"


def has_no_violation(run: KillRun) -> bool:
    """Print what the doctor finds; return True if it finds no violation."""
    environ = clean_environ(DATABASE_URL=run.database_url)
    doctor_report = examine_log(environ, run.folder, (), run.answers.lines)
    for finding in doctor_report.findings:
        log(f"doctor: {finding['kind']}: {finding['saga_id']}: {finding['detail']}")
    log(f"doctor: {doctor_report.summary}, {len(run.answers.lines)} responses")
    return doctor_report.exit_code == 0


def log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
