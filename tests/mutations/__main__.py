"""Breaks each rule on purpose, and tells which property noticed; fails if one went unnoticed.

make mutations                all of them
make mutations RULES="R2 R6"
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from saga_orchestrator.tests.mutations import compensation as of_the_way_back
from saga_orchestrator.tests.mutations import runtime as of_the_shell
from saga_orchestrator.tests.mutations import verifier as of_the_verifier
from saga_orchestrator.tests.mutations.mutation import Mutation, ProjectCopy

MUTATIONS = (*of_the_shell.MUTATIONS, *of_the_way_back.MUTATIONS, *of_the_verifier.MUTATIONS)


def main(rules: Sequence[str]) -> int:
    in_order = sorted(MUTATIONS, key=lambda one: one.rule)
    wanted = [one for one in in_order if not rules or one.rule in rules]
    with tempfile.TemporaryDirectory() as folder:
        copy = ProjectCopy(Path(folder))
        _require_passing_baseline(copy, wanted)
        unnoticed = [one for one in wanted if not _is_caught(copy, one)]
    print(f"{len(wanted) - len(unnoticed)} of {len(wanted)} were caught")
    return len(unnoticed) > 0


def _require_passing_baseline(copy: ProjectCopy, mutations: Sequence[Mutation]) -> None:
    """What fails without a mutation would notice everything."""
    for property_ in sorted({one.property for one in mutations}):
        if failure := copy.failure_of(property_):
            raise SystemExit(f"{failure} fails though nothing is broken")


def _is_caught(copy: ProjectCopy, mutation: Mutation) -> bool:
    caught = copy.caught_by(mutation)
    print(f"{mutation.rule}  {mutation.effect:<68}  {caught or 'NOT CAUGHT'}", flush=True)
    return caught is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
