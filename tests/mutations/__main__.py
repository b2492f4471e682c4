"""Break each rule on purpose, and print which property fails; exit with 1 if none does.

make mutations                all of them
make mutations RULES="R2 R6"
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from saga_orchestrator.tests.mutations import compensation, runtime, verifier
from saga_orchestrator.tests.mutations.mutation import Mutation, ProjectCopy

MUTATIONS = (*runtime.MUTATIONS, *compensation.MUTATIONS, *verifier.MUTATIONS)


def main(rules: Sequence[str]) -> int:
    in_order = sorted(MUTATIONS, key=lambda mutation: mutation.rule)
    selected = [mutation for mutation in in_order if not rules or mutation.rule in rules]
    with tempfile.TemporaryDirectory() as folder:
        copy = ProjectCopy(Path(folder))
        _require_passing_baseline(copy, selected)
        survivors = [mutation for mutation in selected if not _is_caught(copy, mutation)]
    print(f"{len(selected) - len(survivors)} of {len(selected)} were caught")
    return len(survivors) > 0


def _require_passing_baseline(copy: ProjectCopy, mutations: Sequence[Mutation]) -> None:
    """Exit if a property fails without any mutation."""
    for property_ in sorted({mutation.property for mutation in mutations}):
        if failure := copy.failure_of(property_):
            raise SystemExit(f"{failure} fails without a mutation")


def _is_caught(copy: ProjectCopy, mutation: Mutation) -> bool:
    caught = copy.caught_by(mutation)
    print(f"{mutation.rule}  {mutation.effect:<68}  {caught or 'NOT CAUGHT'}", flush=True)
    return caught is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
