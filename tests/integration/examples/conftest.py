"""Participants as processes of their own, each on a ledger of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.examples.running_participant import RunningParticipant


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[RunningParticipant]:
    yield from running("order_service", tmp_path)


@pytest.fixture(scope="module")
def no_orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningParticipant]:
    """One process for all tests that leave it without orders."""
    yield from running("order_service", tmp_path_factory.mktemp("no-orders"))


@pytest.fixture
def payments(tmp_path: Path) -> Iterator[RunningParticipant]:
    yield from running("payment_service", tmp_path)


def running(module: str, data: Path) -> Iterator[RunningParticipant]:
    participant = RunningParticipant(module, data)
    participant.start()
    yield participant
    participant.end()
