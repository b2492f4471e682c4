"""The values of the core are immutable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import Struct
from saga_orchestrator.fsm.decider.decision import Decision
from saga_orchestrator.fsm.events import StepCalled
from saga_orchestrator.fsm.runtime.sharding.node_protocol import RemoteCommand


def structs(kind: type[Struct] = Struct) -> Iterator[type[Struct]]:
    for subclass in kind.__subclasses__():
        if subclass.__module__.startswith("saga_orchestrator."):
            yield subclass
        yield from structs(subclass)


def test_every_value_is_frozen() -> None:
    values = list(structs())

    assert {Decision, StepCalled, RemoteCommand} <= set(values)
    assert [value.__qualname__ for value in values if not value.__struct_config__.frozen] == []


def test_a_member_is_not_set_again() -> None:
    called = StepCalled(step="pay", attempt=1)

    with pytest.raises(AttributeError):
        called.attempt = 2  # type: ignore[misc]
