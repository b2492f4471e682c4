"""The participants of the order saga with static replies, fast enough not to be what is measured.

nginx serves them if it is installed (some 100,000 replies a second), else a process in Python. Both
count the requests: the number of calls a saga makes is a figure of the benchmark. One payment
service accepts every card, the other declines every card.
"""

from __future__ import annotations

import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from saga_orchestrator.benchmarks.processes import free_ports, running

START_SECONDS = 10
NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events { worker_connections 2048; }
http {
  access_log off;
  default_type application/json;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:{orders} backlog=1024;
    location = /orders { return 201 '{"order_id": "$request_id", "status": "PENDING_PAYMENT"}'; }
    location ~ ^/orders/[0-9a-f]+/(confirm|compensate)$ { return 200 '{"status": "$1"}'; }
  }
  server {
    listen 127.0.0.1:{payments} backlog=1024;
    location = /payments { return 201 '{"payment_id": "$request_id", "status": "PAID"}'; }
  }
  server {
    listen 127.0.0.1:{declining} backlog=1024;
    location = /payments { return 402 '{"detail": "card declined"}'; }
  }
  server {
    listen 127.0.0.1:{count};
    location / { stub_status; }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Participants:
    """Base URLs, those of payment services by the way of a saga."""

    kind: str
    orders: str
    payments: Mapping[str, str]
    count_url: str

    def requests(self) -> int:
        """Return the number of requests, of those for the count only the first."""
        with urllib.request.urlopen(self.count_url, timeout=5) as reply:
            words = reply.read().decode().split()
        return int(words[-7] if self.kind == "nginx" else words[-1])


@contextmanager
def participants(folder: Path) -> Iterator[Participants]:
    ports = dict(zip(("orders", "payments", "declining", "count"), free_ports(4), strict=True))
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    command = _nginx(nginx, folder, ports) if nginx else _python(ports)
    with running(command, folder / "participants.log"):
        running_participants = Participants(
            kind="nginx" if nginx else "a Python process",
            orders=urls["orders"],
            payments={"forward": urls["payments"], "declined": urls["declining"]},
            count_url=urls["count"],
        )
        answers_within(running_participants.count_url, START_SECONDS)
        yield running_participants


def answers_within(url: str, seconds: float) -> None:
    """Wait until `url` answers at all. Raises URLError if it does not in time."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


def _nginx(nginx: str, folder: Path, ports: Mapping[str, int]) -> list[str]:
    configuration = NGINX
    for name, port in ports.items():
        configuration = configuration.replace(f"{{{name}}}", str(port))
    home = folder / "nginx"
    home.mkdir()
    file = home / "nginx.conf"
    file.write_text(configuration)
    return [nginx, "-p", str(home), "-c", str(file), "-e", str(home / "error.log")]


def _python(ports: Mapping[str, int]) -> list[str]:
    numbers = (str(port) for port in ports.values())
    return [sys.executable, "-m", "saga_orchestrator.benchmarks.static_participants", *numbers]
