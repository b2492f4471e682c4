"""The scenarios to play: those of this repository, and those in a folder beside the checkout.

A scenario that both have with the same content is played once. If the contents differ, both are
played, and the id of the second one ends in `beside`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path

import yaml
from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.scenario import Scenario, parse_scenario

PROSE = {"title", "source"}  # members that do not change what is played
BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a scenario file, as it is written."""

    members: dict[str, Json]
    area: str

    @property
    def id(self) -> str:
        return str(self.members["id"])

    @property
    def content(self) -> dict[str, Json]:
        return {name: value for name, value in self.members.items() if name not in PROSE}


@dataclass(frozen=True, slots=True)
class Collection:
    """`scenarios` in the order of their files, each with ports of its own."""

    scenarios: Sequence[Scenario]
    duplicate_count: int  # of those beside that are in the repository too

    def matching(self, patterns: Sequence[str]) -> list[Scenario]:
        """Return the scenarios whose id or file name fits a pattern; all without patterns."""

        def fits(scenario: Scenario) -> bool:
            ids = (scenario.id, scenario.id.removesuffix(BESIDE))
            return any(
                scenario.area == pattern or any(fnmatchcase(each, pattern) for each in ids)
                for pattern in patterns
            )

        return [each for each in self.scenarios if not patterns or fits(each)]


def collect(own: Path, beside: Path | None, first_port: int) -> Collection:
    """Read all scenarios below the two folders. Raises ValueError if an id occurs twice in one."""
    own_entries = list(_read(own))
    beside_entries = list(_read(beside)) if beside is not None else []
    contents = {entry.id.lower(): entry.content for entry in own_entries}
    new_entries = [
        entry for entry in beside_entries if contents.get(entry.id.lower()) != entry.content
    ]
    scenarios = [
        *(parse_scenario(entry.members, entry.area) for entry in own_entries),
        *_parse_beside(new_entries, contents),
    ]
    ports = count(first_port)
    for scenario in scenarios:
        scenario.ports = {name: next(ports) for name in scenario.participants}
    return Collection(scenarios, duplicate_count=len(beside_entries) - len(new_entries))


def _parse_beside(entries: Iterable[Entry], known_ids: Iterable[str]) -> Iterator[Scenario]:
    known = set(known_ids)
    for entry in entries:
        scenario = parse_scenario(entry.members, entry.area)
        scenario.is_from_beside = True
        if entry.id.lower() in known:
            scenario.id, scenario.is_isolated = f"{scenario.id}{BESIDE}", True
        yield scenario


def _read(folder: Path) -> Iterator[Entry]:
    ids: set[str] = set()
    for file in sorted(folder.rglob("*.yaml")):
        entries = yaml.safe_load(file.read_text())
        if not isinstance(entries, list):
            raise ValueError(f"{file} is not a list of scenarios")
        for members in entries:
            entry = Entry(members, file.stem)
            if entry.id.lower() in ids:
                raise ValueError(f"two scenarios in {folder} have the id {entry.id}")
            ids.add(entry.id.lower())
            yield entry
