"""The scenarios of two folders are played once each."""

from __future__ import annotations

from pathlib import Path

import pytest
from saga_orchestrator.tests.blackbox.__main__ import OWN_SCENARIOS
from saga_orchestrator.tests.blackbox.collection import collect

D01 = "- {id: D01, title: one, source: x, definition: [a1/c1], expect: {status: completed}}\n"
D02 = "- {id: D02, title: two, source: x, definition: [a1/c1], expect: {status: completed}}\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return folder(tmp_path / "own", "forward", D01)


def folder(path: Path, area: str, entries: str) -> Path:
    path.mkdir(exist_ok=True)
    (path / f"{area}.yaml").write_text(entries)
    return path


def test_scenario_in_both_folders_is_played_once(own: Path, tmp_path: Path) -> None:
    beside = folder(tmp_path / "beside", "other", D01.replace("one", "another title") + D02)

    collection = collect(own, beside, 21000)

    assert [(each.id, each.is_from_beside) for each in collection.scenarios] == [
        ("D01", False),
        ("D02", True),
    ]
    assert collection.duplicate_count == 1


def test_other_content_with_the_same_id_is_played_too(own: Path, tmp_path: Path) -> None:
    beside = folder(tmp_path / "beside", "other", D01.replace("completed", "parked"))

    first, second = collect(own, beside, 21000).matching(["D01"])

    assert (first.expect, second.expect) == ({"status": "completed"}, {"status": "parked"})
    assert second.needs_own_installation
    assert not set(first.environment) & set(second.environment)


def test_folder_beside_need_not_exist(own: Path, tmp_path: Path) -> None:
    assert len(collect(own, tmp_path / "missing", 21000).scenarios) == 1


def test_id_that_occurs_twice_in_a_folder_is_refused(own: Path) -> None:
    folder(own, "more", D01)

    with pytest.raises(ValueError, match=r"two scenarios in .* have the id D01"):
        collect(own, None, 21000)


def test_every_scenario_has_participants_at_ports_of_their_own() -> None:
    scenarios = collect(OWN_SCENARIOS, None, 21000).scenarios

    ports = [port for scenario in scenarios for port in scenario.ports.values()]
    assert len(set(ports)) == len(ports)
