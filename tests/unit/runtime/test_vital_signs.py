from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.runtime.callbacks import Owed
from saga_orchestrator.fsm.runtime.vital_signs import Check, check_of


@pytest.mark.parametrize("owed", [None, Owed(900, timedelta(minutes=4, seconds=59), "s1")])
def test_callbacks_that_are_not_owed_for_long_are_well(owed: Owed | None) -> None:
    assert check_of(owed) == Check(True)


@pytest.mark.parametrize(
    ("owed", "detail"),
    [
        (Owed(1, timedelta(minutes=5), "s1"), "1 callback is owed, that of saga s1 for 5 minutes"),
        (
            Owed(7, timedelta(hours=2), "s1"),
            "7 callbacks are owed, that of saga s1 for 120 minutes",
        ),
    ],
)
def test_callbacks_owed_for_long_are_a_warning(owed: Owed, detail: str) -> None:
    check = check_of(owed)

    assert (check.ok, check.warns) == (True, True)
    assert check.detail.startswith(detail)
