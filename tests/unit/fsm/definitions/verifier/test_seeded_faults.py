"""Each mistake that an author can make is found, at its place, and is the only thing found."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic_core.core_schema import ErrorType
from saga_orchestrator.fsm.definitions.findings import Severity
from saga_orchestrator.fsm.definitions.validation_errors import finding_code
from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import Fault, findings, is_refused
from saga_orchestrator.tests.unit.fsm.definitions.verifier.faults_of_compensation import (
    PIVOTS,
    UNDO,
)
from saga_orchestrator.tests.unit.fsm.definitions.verifier.faults_of_data import (
    EXPRESSIONS,
    REFERENCES,
)
from saga_orchestrator.tests.unit.fsm.definitions.verifier.faults_of_form import (
    CALLS,
    ENDINGS,
    GRAPH,
    TIME,
)
from saga_orchestrator.tests.unit.fsm.definitions.verifier.faults_of_input import INPUT
from saga_orchestrator.tests.unit.fsm.definitions.verifier.finding_codes import codes_in_source

FAULTS = [*UNDO, *PIVOTS, *REFERENCES, *EXPRESSIONS, *CALLS, *ENDINGS, *TIME, *GRAPH, *INPUT]
# What is wrong with a pair is told at both, and these are told with what follows from them.
MAY_GO_WITH = {
    "parallel-pivots",
    "signal-awaited-twice",
    "pivot-may-be-skipped",
    "constant-condition",
}
# Not of one definition by itself: tested with what surrounds it.
ELSEWHERE = {
    "input-not-declared",
    "unknown-participant",
    "unknown-saga",
    "not-json",
    "too-large",
    "unreadable",
    "other-place",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_fault_is_found(fault: Fault) -> None:
    reported = [(finding.pointer, finding.code) for finding in findings(fault.document)]

    assert fault.finding in reported
    assert {code for place, code in reported if (place, code) != fault.finding} <= MAY_GO_WITH


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_fault_is_described_in_plain_words(fault: Fault) -> None:
    for finding in findings(fault.document):
        assert 20 <= len(finding.detail) <= 400
        assert not finding.detail.endswith((".", " "))


def test_only_errors_refuse_a_definition() -> None:
    refused = {fault.name for fault in FAULTS if is_refused(fault.document)}

    in_error = {
        fault.name
        for fault in FAULTS
        if any(finding.severity is Severity.ERROR for finding in findings(fault.document))
    }

    assert refused == in_error


def test_every_code_has_a_seeded_fault() -> None:
    of_the_language = {finding_code(kind) for kind in get_args(ErrorType)}

    seeded = {fault.finding[1] for fault in FAULTS} - of_the_language

    assert seeded == set(codes_in_source()) - ELSEWHERE
