"""What `make mutations` breaks is still there to be broken."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.house.tree import text
from saga_orchestrator.tests.mutations.__main__ import MUTATIONS
from saga_orchestrator.tests.mutations.mutation import Mutation


@pytest.mark.parametrize(
    "mutation", MUTATIONS, ids=lambda mutation: f"{mutation.rule} {mutation.effect}"
)
def test_text_of_a_mutation_occurs_in_its_file_once(mutation: Mutation) -> None:
    assert text(mutation.file).count(mutation.old) == 1


def test_every_rule_is_broken_somewhere() -> None:
    assert {mutation.rule for mutation in MUTATIONS} == {f"R{number}" for number in range(1, 10)}
