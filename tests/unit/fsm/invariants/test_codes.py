"""The codes of invariants are stable, and each is explained to users of the doctor."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Final

from saga_orchestrator.fsm.invariants import LOG_INVARIANTS, Invariant

PAGE: Final = Path(__file__).parents[4] / "docs" / "doctor.md"
CODES: Final = [
    "I1",
    "I2",
    "I3",
    "I4",
    "I5",
    "I6",
    "I7",
    "I8",
    "I9",
    "I11",
    "I13",
    "I14",
    "I15",
    "I16",
    "R2",
    "R3",
    "R4",
    "R5",
    "R6",
    "pause",
    "signal",
    "child",
]


def test_codes_never_change() -> None:
    assert list(Invariant) == CODES


def test_page_of_the_doctor_explains_each_code() -> None:
    text = PAGE.read_text()

    unexplained = [code for code in Invariant if not re.search(rf"(^|\| ){code}\b", text, re.M)]

    assert unexplained == []


def test_checks_of_the_log_say_what_they_promise() -> None:
    mute = [check.__name__ for _, check in LOG_INVARIANTS if not inspect.getdoc(check)]

    assert mute == []
