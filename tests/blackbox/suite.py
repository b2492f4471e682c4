"""Which scenario is played on which installation, and the report.

Most scenarios share an installation and are played side by side. Those that kill its process share
a second one and are played one after the other; some need one of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import yaml
from saga_orchestrator.tests.blackbox.client import ExpectationFailed
from saga_orchestrator.tests.blackbox.installation import Installation, Target
from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.node import NotReady
from saga_orchestrator.tests.blackbox.scenario import Scenario
from saga_orchestrator.tests.blackbox.scenario_run import ScenarioRun

SCENARIO_TIMEOUT_SECONDS = 180.0
MAX_OWN_INSTALLATIONS = 2  # at the same time


class Suite:
    """`first_port` is that of the first node; logs and data go to folders in `home`."""

    def __init__(
        self, target: Target, home: Path, first_port: int, *, jobs: int, audit: bool
    ) -> None:
        self.target, self.home, self.jobs, self.audit = target, home, jobs, audit
        self.tally: Counter[str] = Counter()
        self._ports = count(first_port)

    async def run(self, scenarios: Sequence[Scenario]) -> int:
        """Play all scenarios; return the exit code: 1 if one failed or none passed."""
        playable = [scenario for scenario in scenarios if not self._skip(scenario)]
        isolated = [each for each in playable if each.needs_own_installation]
        shared = [each for each in playable if not each.needs_own_installation]
        limit = asyncio.Semaphore(MAX_OWN_INSTALLATIONS)
        await asyncio.gather(
            self._play_all("shared", [each for each in shared if not each.kills_nodes], self.jobs),
            self._play_all("crashing", [each for each in shared if each.kills_nodes], 1),
            *(self._play_alone(scenario, limit) for scenario in isolated),
        )
        passed, failed, skipped = (self.tally[result] for result in ("PASS", "FAIL", "SKIP"))
        print(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 1 if failed or not passed else 0

    def _skip(self, scenario: Scenario) -> bool:
        has_process = self.target.command is not None
        if scenario.needs_database_server and not self.target.database_url:
            self._report("SKIP", scenario, "needs --database-url")
        elif not has_process and (scenario.kills_nodes or scenario.needs_own_installation):
            self._report("SKIP", scenario, "needs --serve")
        else:
            return False
        return True

    async def _play_alone(self, scenario: Scenario, limit: asyncio.Semaphore) -> None:
        async with limit:
            await self._play_all(scenario.id, [scenario], 1)

    async def _play_all(self, name: str, scenarios: Sequence[Scenario], jobs: int) -> None:
        if not scenarios:
            return
        limit = asyncio.Semaphore(jobs)
        try:
            async with self._installation(name, scenarios) as installation:
                await asyncio.gather(*(self._play(each, installation, limit) for each in scenarios))
        except NotReady as error:
            for scenario in scenarios:
                self._report("FAIL", scenario, "not played", str(error))

    @asynccontextmanager
    async def _installation(
        self, name: str, scenarios: Sequence[Scenario]
    ) -> AsyncIterator[Installation]:
        env: dict[str, str] = {}
        participants_file: dict[str, Json] = {}
        for scenario in scenarios:
            env |= scenario.environment
            participants_file |= scenario.registered_participants_file
        if participants_file:
            env["SAGA_PARTICIPANTS_FILE"] = str(self._write(name, participants_file))
        installation = Installation(self.target, self.home / name, env)
        nodes = max(scenario.nodes for scenario in scenarios)
        try:
            await installation.start([next(self._ports) for _ in range(nodes)])
            yield installation
        finally:
            await installation.stop()

    def _write(self, name: str, participants_file: dict[str, Json]) -> Path:
        path = self.home / name / "participants.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(participants_file))
        return path

    async def _play(
        self, scenario: Scenario, installation: Installation, limit: asyncio.Semaphore
    ) -> None:
        async with limit:
            run, began = ScenarioRun(scenario, installation, audit=self.audit), time.time()
            problems: Sequence[str] = ()
            try:
                async with asyncio.timeout(SCENARIO_TIMEOUT_SECONDS):
                    await run.run()
            except ExpectationFailed as failure:
                problems = failure.args
            except Exception as error:  # noqa: BLE001 - fails one scenario, not the suite
                problems = (f"{type(error).__name__}: {error}",)
            history = [f"calls: {run.history}"] if problems else []
            result, note = "FAIL" if problems else "PASS", f"{time.time() - began:.1f} s"
            self._report(result, scenario, note, *problems, *history)

    def _report(self, result: str, scenario: Scenario, note: str, *lines: str) -> None:
        self.tally[result] += 1
        print(f"{result} {scenario.id:6} {scenario.title} ({note})", flush=True)
        for line in lines:
            print(f"       {line}", flush=True)
