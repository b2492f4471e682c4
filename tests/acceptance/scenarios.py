"""Play the black-box scenarios, those with several nodes included.

    python -m saga_orchestrator.tests.acceptance.scenarios [arguments of tests/blackbox]

Several nodes need a database server that they can reach over TCP: an embedded one is started.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.tests.acceptance.process import SAGA_COMMAND, free_port

BLACKBOX = (sys.executable, "-m", "saga_orchestrator.tests.blackbox")


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of the black box."""
    with (
        tempfile.TemporaryDirectory(prefix="scenarios-") as folder,
        embedded_server(Path(folder), tcp_port=free_port()) as server,
    ):
        serve = ("--serve", f"{SAGA_COMMAND[0]} serve", "--database-url", server.url)
        return subprocess.run([*BLACKBOX, *arguments, *serve], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
