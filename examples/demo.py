"""The demo: `python -m saga_orchestrator.examples.demo`.

It starts the two participants and the orchestrator, sends one order that completes and one whose
card is declined, and shows the recorded events and the state of the participants at the end. Then
it stays up until Ctrl-C, for a look around. With --once it ends by itself, and its exit code is 0
if both sagas ended as they must.

Three things can end it: the last scenario, a signal, or a child that exits. They race; the losers
are cancelled, and in every case the children are stopped before the demo ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from .addresses import Address, Addresses, DemoFailed
from .child_process import ChildProcess, Program, running_children
from .saga_client import DemoClient
from .scenarios import SCENARIOS, Scenario, mismatches, order_request
from .timeline import Ink, Paint, timeline_lines, wants_colour

PROGRESS_INTERVAL = timedelta(seconds=5)
HEALTHY_TIMEOUT = timedelta(seconds=90)  # the first start of the service creates a database
EXIT_NOTICE_TIME = timedelta(seconds=2)
ORCHESTRATOR = ("-m", "saga_orchestrator.cli", "serve")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run of the demo. The children get `environ` with the addresses and the data folder."""

    addresses: Addresses
    data: Path
    environ: Mapping[str, str]
    once: bool
    paint: Paint
    orchestrator: Sequence[str] = ORCHESTRATOR  # arguments of the interpreter

    async def run(self) -> int:
        """Run the demo and return the exit code. Raises DemoFailed."""
        signalled = signal_received()
        async with (
            running_children(self.programs()) as children,
            httpx.AsyncClient(trust_env=False) as web,
        ):
            return await first_result(
                self.run_scenarios_and_wait(children, web),
                self.wait_for_signal(signalled),
                *(child.fail_on_exit() for child in children),
            )

    def programs(self) -> Sequence[Program]:
        """Return the programs, the orchestrator last: it is stopped before the participants."""
        orders, payments = self.addresses.orders, self.addresses.payments
        return [
            self.program("order-service", orders, self.participant("order_service", orders)),
            self.program(
                "payment-service", payments, self.participant("payment_service", payments)
            ),
            self.program("orchestrator", self.addresses.service, self.orchestrator),
        ]

    def participant(self, module: str, address: Address) -> Sequence[str]:
        listen = ("--host", address.host, "--port", str(address.port))
        return ("-m", f"saga_orchestrator.examples.{module}", *listen, "--data", str(self.data))

    def program(self, name: str, address: Address, arguments: Sequence[str]) -> Program:
        ours = {
            "ORDER_SERVICE_URL": self.addresses.orders.url,
            "PAYMENT_SERVICE_URL": self.addresses.payments.url,
            "SERVICE_PORT": str(self.addresses.service.port),
            "SAGA_DATA_DIR": str(self.data / "saga"),
        }
        return Program(
            name=name,
            arguments=(sys.executable, *arguments),
            address=address,
            log=self.data / "logs" / f"{name}.log",
            environ={**self.environ, **ours},
        )

    async def run_scenarios_and_wait(
        self, children: Sequence[ChildProcess], web: httpx.AsyncClient
    ) -> int:
        try:
            for child in children:
                await await_health(child, web)
            wrong = await self.run_scenarios(DemoClient(web, self.addresses))
        except httpx.TransportError as error:
            # If a child has exited, its log explains more: let it win the race.
            await asyncio.sleep(EXIT_NOTICE_TIME.total_seconds())
            raise DemoFailed(f"a service does not answer: {error!r}") from error
        for line in wrong:
            print_lines(self.paint(Ink.RED, line))
        if self.once:
            return 1 if wrong else 0
        print_lines(*next_steps(self.addresses))
        return await wait_forever()

    async def run_scenarios(self, teller: DemoClient) -> Sequence[str]:
        """Run all scenarios and return the mismatches."""
        wrong: list[str] = []
        for scene in SCENARIOS:
            wrong += await self.run_scenario(scene, teller)
        return wrong

    async def run_scenario(self, scene: Scenario, teller: DemoClient) -> Sequence[str]:
        await teller.decline_cards(declined=scene.declined)
        try:
            saga_id = await teller.start_saga(order_request(scene.entity_id))
        finally:
            await teller.decline_cards(declined=False)
        story = await teller.fetch_snapshot(saga_id)
        print_lines("", *timeline_lines(scene.title, story, self.paint))
        return list(mismatches(scene, story))

    async def wait_for_signal(self, signalled: asyncio.Event) -> int:
        """Return the exit code for a signal: the usual end of the demo, but not with --once."""
        await signalled.wait()
        print_lines("", "stopping")
        return 1 if self.once else 0


async def await_health(child: ChildProcess, web: httpx.AsyncClient) -> None:
    """Wait until `child` is healthy. Raises DemoFailed after HEALTHY_WITHIN."""
    program = child.program
    for _ in range(HEALTHY_TIMEOUT // PROGRESS_INTERVAL):
        if await child.healthy_within(web, PROGRESS_INTERVAL):
            print_lines(f"{program.name:<15}  {program.address.url}  is up; its log: {program.log}")
            return
        print_lines(f"{program.name:<15}  {program.address.url}  is not up yet, still waiting")
    raise child.failure(f"is not healthy after {HEALTHY_TIMEOUT.total_seconds():.0f} s")


def next_steps(addresses: Addresses) -> Sequence[str]:
    service = addresses.service.url
    return (
        "",
        "All three stay up until Ctrl-C. To look around:",
        f"  {service}/sagas",
        f"  {addresses.orders.url}/orders   {addresses.orders.url}/calls",
        f"  {addresses.payments.url}/payments   {addresses.payments.url}/calls",
        "To send an order of your own:",
        f"  {curl('POST', f'{service}/sagas/start', order_request(125))}",
        "To have cards declined:",
        f"  {curl('PUT', f'{addresses.payments.url}/decline', {'declined': True})}",
    )


def curl(method: str, url: str, body: Mapping[str, object]) -> str:
    data = shlex.quote(json.dumps(body))
    return f"curl -sS -X {method} {url} -H 'content-type: application/json' -d {data}"


def signal_received() -> asyncio.Event:
    """Return an event that the first signal sets; later signals change nothing, since stopping has
    a time limit."""
    event = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


async def first_result(*coroutines: Coroutine[object, object, int]) -> int:
    """Return the result, or raise the exception, of the first to end; cancel the others."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task.result() for task in tasks if task in done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_forever() -> int:
    never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    return await never


def print_lines(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="saga_orchestrator.examples.demo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--once", action="store_true", help="end after the two timelines")
    parser.add_argument("--data", type=Path, default=Path(".state"), help="folder of all state")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse_arguments(arguments)
    try:
        demo = Demo(
            addresses=Addresses.from_environ(os.environ),
            data=given.data.resolve(),
            environ=dict(os.environ),
            once=given.once,
            paint=Paint(on=wants_colour(sys.stdout, os.environ)),
        )
        return asyncio.run(demo.run())
    except DemoFailed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
