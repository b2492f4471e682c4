from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest
from saga_orchestrator.fsm.frozen import changed, quickly_built
from saga_orchestrator.fsm.machines import StepStatus
from saga_orchestrator.fsm.step_state import StepState


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain(Thing):
    size: int
    colour: str = "red"


@quickly_built
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick(Thing):
    size: int
    colour: str = "red"


@quickly_built
@dataclass(frozen=True, slots=True)
class Pair:
    left: int
    right: int = 2


def test_a_changed_value_is_what_replace_would_make() -> None:
    before = StepState(attempts=2)

    after = changed(before, {"status": StepStatus.CALLING, "attempts": 3})

    assert after == replace(before, status=StepStatus.CALLING, attempts=3)
    assert before == StepState(attempts=2)


def test_what_is_quickly_built_is_what_its_own_constructor_makes() -> None:
    quick, plain = Quick(name="a", size=1), Plain(name="a", size=1)

    assert repr(quick) == repr(plain).replace("Plain", "Quick")
    assert type(quick) is Quick
    assert quick == Quick(name="a", size=1, colour="red") != replace(quick, size=2)
    assert hash(quick) == hash(plain)


def test_members_may_be_given_by_position_where_the_dataclass_lets_them() -> None:
    assert Pair(1) == Pair(1, 2) == Pair(right=2, left=1)
    with pytest.raises(TypeError):
        Quick("a", 1)  # type: ignore[call-arg]


def test_what_is_quickly_built_is_frozen() -> None:
    quick = Quick(name="a", size=1)

    with pytest.raises(FrozenInstanceError):
        quick.size = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del quick.size


@pytest.mark.parametrize("members", [{"name": "a"}, {"name": "a", "size": 1, "weight": 2}])
def test_members_that_are_missing_or_unknown_are_refused(members: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Quick(**members)  # type: ignore[arg-type]
