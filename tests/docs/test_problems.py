"""docs/problems.md lists the code of every problem."""

from __future__ import annotations

from saga_orchestrator.http.wire.problems import INTERNAL_ERROR, PROBLEMS
from saga_orchestrator.tests.docs.markdown import document


def test_every_problem_is_listed_as_it_is_answered() -> None:
    rows = document("docs/problems.md").table("code")

    assert {tuple(row) for row in rows} == {
        (
            f"`{problem.code}`",
            str(problem.status.value),
            problem.title,
            "yes" if problem.retryable else "no",
        )
        for problem in (*PROBLEMS.values(), INTERNAL_ERROR)
    }
