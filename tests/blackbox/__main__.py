"""Play scenarios against a saga orchestrator, over HTTP alone, and report what is wrong.

BLACKBOX="python -m saga_orchestrator.tests.blackbox"
$BLACKBOX --serve "saga serve"                      all scenarios
$BLACKBOX --serve "saga serve" G09a 'D1*' crash     some, by id, pattern or file name
$BLACKBOX --url http://127.0.0.1:8009               a service that runs (see --environment)
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from saga_orchestrator.tests.blackbox.collection import collect
from saga_orchestrator.tests.blackbox.installation import Target
from saga_orchestrator.tests.blackbox.scenario import Scenario
from saga_orchestrator.tests.blackbox.suite import Suite

OWN_SCENARIOS = Path(__file__).with_name("scenarios")
NODE_PORTS = 200  # reserved for nodes, below the ports of the participants


def main() -> int:
    """Return 0 if every scenario passed."""
    options = parse_arguments()
    collection = collect(options.scenarios, options.beside, options.ports)
    scenarios = collection.matching(options.patterns)
    if options.list:
        for each in scenarios:
            print(f"{each.id:6} {each.area:12} {each.title} [{each.source}]")
        return 0
    if options.environment:
        for each in scenarios:
            print(*(f"export {name}={url}" for name, url in each.environment.items()), sep="\n")
        return 0
    print(describe(scenarios, options, collection.duplicate_count), flush=True)
    home = Path(tempfile.mkdtemp(prefix="acceptance-"))
    print(f"logs in {home}", file=sys.stderr)
    target = Target(options.serve, options.url, options.database_url)
    first_port = options.ports - NODE_PORTS
    suite = Suite(target, home, first_port, jobs=options.jobs, audit=not options.no_audit)
    return asyncio.run(suite.run(scenarios))


def describe(scenarios: Sequence[Scenario], options: argparse.Namespace, duplicates: int) -> str:
    """Return how many scenarios are played, and where they come from."""
    beside = sum(scenario.is_from_beside for scenario in scenarios)
    sources = [f"{len(scenarios) - beside} from {options.scenarios}"]
    if options.beside is not None and options.beside.is_dir():
        also = f"{duplicates} there are the same and played once"
        sources.append(f"{beside} from {options.beside} ({also})")
    return f"{len(scenarios)} scenarios: {', '.join(sources)}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="blackbox", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    server = os.environ.get("DATABASE_URL")
    add = parser.add_argument
    add("patterns", nargs="*", help="ids (with * and ?) or names of scenario files; default all")
    add("--serve", help="command that becomes the orchestrator's process")
    add("--url", default="", help="an orchestrator that runs already")
    add("--database-url", default=server, help="a server to create databases on (DATABASE_URL)")
    add("--scenarios", type=Path, default=OWN_SCENARIOS, help="folder of scenario files")
    add("--beside", type=Path, help="another such folder, if there is one")
    add("--jobs", type=int, default=8, help="scenarios at a time (8)")
    add("--ports", type=int, default=21000, help="first port of the participants (21000)")
    add("--no-audit", action="store_true", help="do not read events and past versions")
    add("--list", action="store_true", help="print the scenarios and end")
    add("--environment", action="store_true", help="print the settings that --url needs and end")
    options = parser.parse_args()
    if not (options.serve or options.url or options.list or options.environment):
        parser.error("give --serve or --url")
    return options


if __name__ == "__main__":
    sys.exit(main())
