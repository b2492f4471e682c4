"""The shipped definition fits the shipped participants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from saga_orchestrator.examples import order_service, payment_service
from starlette.applications import Starlette
from starlette.routing import Match

FILE = Path(order_service.__file__).parent / "definitions" / "order_processing.yaml"
STEPS = yaml.safe_load(FILE.read_text(encoding="utf-8"))["steps"]
CALLS = [
    (step["participant"], step[direction]["method"], re.sub(r"\$\{.*?\}", "1", call["path"]))
    for step in STEPS
    for direction in ("action", "compensation")
    if (call := step.get(direction))
]


@pytest.fixture
def participants(tmp_path: Path) -> dict[str, Starlette]:
    return {
        "order-service": order_service.create_app(tmp_path),
        "payment-service": payment_service.create_app(tmp_path),
    }


def test_order_definition_calls_what_the_first_users_called() -> None:
    assert [path for _, _, path in CALLS] == [
        "/orders",
        "/orders/1/compensate",
        "/payments",
        "/payments/1/compensate",
        "/orders/1/confirm",
    ]


@pytest.mark.parametrize(("name", "method", "path"), CALLS)
def test_each_call_has_an_endpoint(
    participants: dict[str, Starlette], name: str, method: str, path: str
) -> None:
    scope = {"type": "http", "method": method, "path": path, "root_path": ""}

    matches = [route.matches(scope)[0] for route in participants[name].routes]

    assert Match.FULL in matches


def test_the_second_version_differs_by_its_input_alone() -> None:
    """Version 1 is in every database, and never changes."""
    second = yaml.safe_load((FILE.parent / "order_processing_2.yaml").read_text(encoding="utf-8"))

    del second["input"]

    assert second == {**yaml.safe_load(FILE.read_text(encoding="utf-8")), "version": 2}
