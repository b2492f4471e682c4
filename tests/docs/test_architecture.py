"""docs/architecture.md maps the modules of each room."""

from __future__ import annotations

import re
from typing import Final

import pytest
from saga_orchestrator.tests.docs.markdown import document, quoted_in
from saga_orchestrator.tests.docs.places import unknown_places
from saga_orchestrator.tests.house.tree import files

ROOM: Final = re.compile(r"^### `([\w/]+)/`.*?\n(.*?)(?=^##)", re.DOTALL | re.MULTILINE)
ROW: Final = re.compile(r"^\| (`.+?) \| .+ \|$", re.MULTILINE)
ROOMS: Final = dict(ROOM.findall(document("docs/architecture.md").text))

DECISIONS: Final = document("docs/architecture.md").table("decision | place")


@pytest.mark.parametrize("room", ROOMS)
def test_map_of_a_room_lists_its_modules(room: str) -> None:
    listed = {name for row in ROW.findall(ROOMS[room]) for name in quoted_in(row)}

    if listed:
        assert listed >= modules(room)
        assert listed <= modules(room) | folders(room)


@pytest.mark.parametrize(("decision", "place"), DECISIONS)
def test_place_of_a_decision_exists(decision: str, place: str) -> None:
    assert unknown_places(place) == []


def modules(room: str) -> set[str]:
    inside = [file.removeprefix(f"{room}/") for file in files() if file.startswith(f"{room}/")]
    names = {name.removesuffix(".py") for name in inside if "/" not in name}
    return names - {"__init__"}


def folders(room: str) -> set[str]:
    """Return the names of folders with a slash behind them."""
    inside = [file.removeprefix(f"{room}/") for file in files() if file.startswith(f"{room}/")]
    return {f"{name.partition('/')[0]}/" for name in inside if "/" in name}
