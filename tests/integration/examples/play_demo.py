"""The demo as a program, with the stand-in as its orchestrator: play_demo.py DATA [--once] ..."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from saga_orchestrator.examples.addresses import Addresses, DemoFailed
from saga_orchestrator.examples.demo import Demo
from saga_orchestrator.examples.timeline import Paint

STAND_IN = Path(__file__).with_name("stand_in_orchestrator.py")


def main() -> int:
    demo = Demo(
        addresses=Addresses.from_environ(os.environ),
        data=Path(sys.argv[1]),
        environ=os.environ,
        once="--once" in sys.argv,
        paint=Paint(on=False),
        orchestrator=(str(STAND_IN), *sys.argv[2:]),
    )
    return asyncio.run(demo.run())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DemoFailed as failure:
        sys.exit(f"demo: {failure}")
