"""Plays the black-box scenarios beside this checkout, those with several nodes included.

    python -m saga_orchestrator.tests.acceptance.scenarios RUNNER [arguments of the runner]

They need a database server that many can connect to over TCP: an embedded one is started for them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from saga_orchestrator.benchmarks.processes import free_ports
from saga_orchestrator.eventstore.embedded import embedded_server

SAGA = Path(sys.executable).with_name("saga")


def main(arguments: Sequence[str]) -> int:
    """The exit code of the runner."""
    (port,) = free_ports(1)
    with (
        tempfile.TemporaryDirectory(prefix="scenarios-") as folder,
        embedded_server(Path(folder), tcp_port=port) as server,
    ):
        serve = ("--serve", f"{SAGA} serve", "--database-url", server.url)
        return subprocess.run([sys.executable, *arguments, *serve], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
