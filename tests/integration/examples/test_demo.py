"""The demo as a process, with real participants and a stand-in for the orchestrator."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from saga_orchestrator.examples.addresses import Addresses, DemoFailed

PLAY = Path(__file__).with_name("play_demo.py")
PATIENCE = 60  # seconds

pytestmark = pytest.mark.slow


@pytest.fixture
def environ() -> dict[str, str]:
    """Ports that were free a moment ago."""
    with ExitStack() as open_doors:
        doors = [open_doors.enter_context(socket.create_server(("", 0))) for _ in range(3)]
        orders, payments, service = (door.getsockname()[1] for door in doors)
    return {
        **os.environ,
        "ORDER_SERVICE_URL": f"http://127.0.0.1:{orders}",
        "PAYMENT_SERVICE_URL": f"http://127.0.0.1:{payments}",
        "SERVICE_PORT": str(service),
    }


class Playing:
    """A demo that runs until the test ends."""

    def __init__(self, environ: Mapping[str, str], data: Path) -> None:
        self.environ, self.data = environ, data
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        demo = subprocess.Popen(
            [sys.executable, str(PLAY), str(self.data), *arguments],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(demo)
        return demo

    def to_its_end(self, *arguments: str) -> tuple[int, str]:
        demo = self.start(*arguments)
        said, _ = demo.communicate(timeout=PATIENCE)
        return demo.returncode, said

    def until(self, words: str, demo: subprocess.Popen[str]) -> str:
        """What it says until it says `words`."""
        said = ""
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if words in line:
                return said
        raise AssertionError(said)

    def end(self) -> None:
        for demo in self.running:
            if demo.poll() is None:
                demo.terminate()
                demo.communicate(timeout=PATIENCE)


@pytest.fixture
def playing(environ: dict[str, str], tmp_path: Path) -> Iterator[Playing]:
    playing = Playing(environ, tmp_path)
    yield playing
    playing.end()


def listening(environ: Mapping[str, str]) -> list[str]:
    urls = [environ["ORDER_SERVICE_URL"], environ["PAYMENT_SERVICE_URL"]]
    ports = [url.rpartition(":")[2] for url in urls] + [environ["SERVICE_PORT"]]
    return [port for port in ports if is_open(int(port))]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_demo_with_once_shows_both_sagas_and_leaves_nothing_running(playing: Playing) -> None:
    code, said = playing.to_its_end("--once")

    assert code == 0, said
    assert "order 1 CONFIRMED, 50.00" in said
    assert "payment 1 PAID, 50.00" in said
    assert "order 2 CANCELLED, 50.00" in said
    assert "no payment" in said
    assert said.count("SagaCompleted") == said.count("SagaCompensated") == 1
    assert listening(playing.environ) == []


def test_demo_can_be_played_again_on_the_same_data(playing: Playing) -> None:
    for _ in range(2):
        code, said = playing.to_its_end("--once")

    assert code == 0, said
    assert "order 3 CONFIRMED" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_stays_up_until_it_is_stopped(playing: Playing, number: signal.Signals) -> None:
    demo = playing.start()
    said = playing.until("/decline", demo)
    up = listening(playing.environ)
    demo.send_signal(number)
    demo.communicate(timeout=PATIENCE)

    assert len(up) == 3
    assert "curl" in said
    assert demo.returncode == 0
    assert listening(playing.environ) == []


def test_the_switch_is_flipped_back(playing: Playing) -> None:
    playing.until("Ctrl-C", playing.start())

    reply = httpx.get(f"{playing.environ['PAYMENT_SERVICE_URL']}/decline", trust_env=False)

    assert reply.json() == {"declined": False}


@pytest.mark.parametrize(
    ("how", "words"),
    [("--stillborn", "no disk, no luck"), ("--breaks", "out of luck")],
)
def test_a_child_that_ends_ends_the_demo_and_is_quoted(
    playing: Playing, how: str, words: str
) -> None:
    code, said = playing.to_its_end(how)

    assert code == 1
    assert "demo: orchestrator ended with exit code" in said
    assert words in said
    assert listening(playing.environ) == []


def test_a_taken_port_is_named(playing: Playing) -> None:
    port = int(playing.environ["PAYMENT_SERVICE_URL"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        code, said = playing.to_its_end("--once")

    assert code == 1
    assert f"port {port} is taken, so payment-service cannot start" in said
    assert "PAYMENT_SERVICE_URL" in said


@pytest.mark.parametrize(
    "environ",
    [
        {"ORDER_SERVICE_URL": "http://orders.example:8003"},
        {"ORDER_SERVICE_URL": "https://127.0.0.1:8003"},
        {"ORDER_SERVICE_URL": "http://127.0.0.1:8003/base"},
        {"PAYMENT_SERVICE_URL": "http://127.0.0.1:99999"},
        {"SERVICE_PORT": "eight"},
        {"SERVICE_PORT": "0"},
    ],
)
def test_an_address_that_cannot_be_served_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(DemoFailed, match=next(iter(environ))):
        Addresses.from_environ(environ)


def test_the_addresses_have_defaults() -> None:
    addresses = Addresses.from_environ({"ORDER_SERVICE_URL": "http://localhost:9003"})

    assert addresses.orders.url == "http://localhost:9003"
    assert addresses.payments.url == "http://127.0.0.1:8004"
    assert addresses.service.url == "http://127.0.0.1:8009"
