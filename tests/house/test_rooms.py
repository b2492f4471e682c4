"""Which room may import which, as in docs/architecture.md, checked against the source."""

from __future__ import annotations

import ast
import re
from typing import Final

import pytest
from saga_orchestrator.tests.house.tree import (
    PACKAGE,
    ROOMS,
    Import,
    called_names,
    dotted_names,
    files,
    imported_files,
    imports,
    production_files,
    python_files,
    room_of,
    text,
    tree,
)

CORE_OF_RUNTIME: Final = {
    "fsm", "fsm/formats", "fsm/expressions", "fsm/definitions", "fsm/decider",
}  # fmt: skip
CORE: Final = {*CORE_OF_RUNTIME, "fsm/invariants"}
BEHIND_HTTP: Final = {
    "fsm", "fsm/formats", "fsm/definitions", "fsm/runtime", "fsm/runtime/calls", "projections",
    "projections/audit",
}  # fmt: skip
MAY_KNOW: Final = {
    "fsm/formats": set(),
    "fsm/expressions": {"fsm/formats"},
    "fsm/definitions": {"fsm/formats", "fsm/expressions"},
    "fsm": {"fsm/formats", "fsm/expressions", "fsm/definitions"},
    "fsm/decider": {"fsm", "fsm/formats", "fsm/expressions", "fsm/definitions"},
    "fsm/invariants": {"fsm", "fsm/formats", "fsm/definitions", "fsm/decider"},
    "fsm/testing": {*CORE},
    "fsm/runtime": {
        *CORE_OF_RUNTIME,
        "fsm/runtime/calls",
        "fsm/runtime/sharding",
        "eventstore",
        "eventstore/cluster",
    },
    "fsm/runtime/calls": {*CORE_OF_RUNTIME, "fsm/runtime"},
    "fsm/runtime/sharding": {*CORE_OF_RUNTIME, "fsm/runtime", "eventstore", "eventstore/cluster"},
    "eventstore": set(),
    "eventstore/postgres": {"eventstore"},
    "eventstore/cluster": {"eventstore", "eventstore/postgres"},
    "projections": {*CORE, "eventstore", "eventstore/postgres"},
    "projections/audit": {*CORE, "eventstore", "eventstore/postgres", "projections"},
    "http": {*BEHIND_HTTP, "http/wire", "http/api", "http/participants"},
    "http/wire": BEHIND_HTTP,
    "http/api": {*BEHIND_HTTP, "http", "http/wire", "http/participants"},
    "http/participants": {*BEHIND_HTTP, "http/wire"},
    "settings.py": {"fsm/formats", "fsm/definitions"},
}
EVENT_STORE: Final = {"eventstore", "eventstore/postgres", "eventstore/cluster"}
FACES: Final = {"fsm/__init__.py"}  # what the rules export, the decider among it
WEB: Final = {"httpx", "starlette", "uvicorn"}
CLOCKS_AND_CHANCE: Final = {"random", "secrets", "time", "uuid", "os"}
NEVER: Final = {
    "fsm": {"asyncio", "threading", "socket", "psycopg", "logging", *WEB, *CLOCKS_AND_CHANCE},
    "fsm/runtime": {"psycopg", "os", *WEB},
    "eventstore": {"transitions", "pydantic", "random", "uuid", *WEB},
    "eventstore/postgres": {"transitions", "pydantic", "random", "uuid", *WEB},
    "eventstore/cluster": {"transitions", "pydantic", "random", "uuid", *WEB},
    "projections": {"transitions", "random", "uuid", "os", *WEB},
    "http": {"psycopg", "transitions", "random", "uuid", "os"},
}
READS_THE_CLOCK: Final = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns",
    "uuid.uuid4", "uuid.uuid1",
}  # fmt: skip
CLOCK: Final = "fsm/runtime/clock.py"
PARTS: Final = {"PostgresLog", "Driver", "Executor", "Orchestrator", "Projector", "Recovery"}
RULES: Final = {
    "decide", "evolve", "replay", "pending_instructions", "next_wakeup",
}  # fmt: skip


@pytest.mark.parametrize("room", MAY_KNOW)
def test_room_imports_only_what_the_table_allows(room: str) -> None:
    allowed = MAY_KNOW[room] | {room}

    strangers = [
        f"{imported} ({known})"
        for file in python_files(room)
        if room_of(file) == room and file not in FACES
        for imported in imports(file)
        if imported.is_ours
        for known in map(room_of, imported_files(imported))
        if known not in allowed
    ]

    assert strangers == []


@pytest.mark.parametrize("room", NEVER)
def test_room_imports_no_forbidden_module(room: str) -> None:
    forbidden = [
        str(imported)
        for file in python_files(room)
        if room_of_never(file) == room and file != CLOCK
        for imported in imports(file)
        if imported.top in NEVER[room]
    ]

    assert forbidden == []


def test_event_store_is_imported_through_its_packages() -> None:
    """Only the composition root also imports what is too heavy, or too specific, for a package."""
    packages = {f"{PACKAGE}.{room.replace('/', '.')}" for room in ROOMS if room in EVENT_STORE}

    behind = {
        (each.importer, each.module.removeprefix(f"{PACKAGE}.eventstore."))
        for file in production_files()
        for each in imports(file)
        if each.module.startswith(f"{PACKAGE}.eventstore") and each.module not in packages
        if room_of(file) not in EVENT_STORE or "eventstore/postgres" in imported_rooms(each)
        if room_of(file) not in imported_rooms(each)
    }

    assert behind == {
        ("wiring.py", "embedded"),
        ("wiring.py", "cluster.postgres"),
        ("wiring.py", "cluster.postgres_jobs"),
    }


def imported_rooms(each: Import) -> set[str]:
    return set(map(room_of, imported_files(each)))


def test_jmespath_is_imported_by_the_expressions_alone() -> None:
    importers = {
        each.importer
        for file in production_files()
        for each in imports(file)
        if each.top == "jmespath"
    }

    assert [file for file in importers if not file.startswith("fsm/expressions/")] == []


def room_of_never(file: str) -> str:
    """Return the innermost room of NEVER that the file is in."""
    return max((room for room in NEVER if file.startswith(f"{room}/")), key=len, default="")


def test_only_one_file_reads_the_clock() -> None:
    readers = {file: dotted_names(file) & READS_THE_CLOCK for file in production_files()}

    assert [file for file, names in readers.items() if names] == [CLOCK]


def test_event_store_does_not_know_the_meaning_of_events() -> None:
    words = re.compile(r"saga(?!_orchestrator\b)|\bsteps?\b|compensat", re.IGNORECASE)

    assigned = [
        f"{file}: {line.strip()}"
        for file in files()
        if file.startswith("eventstore/")
        for line in text(file).splitlines()
        if words.search(line)
    ]

    assert assigned == []


def test_production_does_not_know_the_tools_of_tests() -> None:
    tools = (f"{PACKAGE}.fsm.testing", f"{PACKAGE}.tests", "pytest", "hypothesis")

    known = [
        str(imported)
        for file in production_files()
        for imported in imports(file)
        if imported.module.startswith(tools) or "testing" in imported.names
    ]

    assert known == []


def test_black_box_knows_the_interface_alone() -> None:
    """Scenarios judge the orchestrator from outside, so none of its code may take part."""
    own = f"{PACKAGE}.tests.blackbox"

    known = [
        str(imported)
        for file in python_files("tests/blackbox")
        for imported in imports(file)
        if imported.is_ours and not imported.module.startswith(own)
    ]

    assert known == []


def test_only_the_composition_root_wires() -> None:
    wired = {file: called_names(file) & PARTS for file in production_files()}

    assert [file for file, names in wired.items() if names] == ["wiring.py"]


def test_only_server_and_command_line_import_the_composition_root() -> None:
    importers = {
        imported.importer
        for file in production_files()
        for imported in imports(file)
        if imported.is_ours and "wiring.py" in imported_files(imported)
    }

    commands = {file for file in importers if room_of(file) == "commands"}
    assert commands
    assert importers - commands == {"server.py"}


def test_only_settings_read_the_environment() -> None:
    readers = [file for file in production_files() if "os.environ" in dotted_names(file)]

    assert set(readers) <= {"settings.py", "eventstore/embedded.py"}


def test_modules_import_each_other_relatively() -> None:
    by_full_name = [
        str(imported)
        for file in production_files()
        if file != "server.py"
        for imported in imports(file)
        if imported.is_ours and not imported.relative
    ]

    assert by_full_name == []


def test_projections_never_write_to_the_log() -> None:
    writing = re.compile(r"log\.(append|claim|put_document|claim_key)\(")

    writers = [file for file in python_files("projections") if writing.search(text(file))]

    assert writers == []


def test_http_has_no_rules_of_sagas() -> None:
    taken = [
        str(imported)
        for file in python_files("http")
        for imported in imports(file)
        if imported.is_ours and RULES & set(imported.names)
    ]

    assert taken == []


def test_examples_are_programs_of_their_own() -> None:
    """A participant is what a user would write: it knows nothing of the orchestrator's inside."""
    known = [
        str(imported)
        for file in python_files("examples")
        for imported in imports(file)
        if imported.is_ours and not imported.module.startswith(f"{PACKAGE}.examples")
        if any(room_of(known) in ROOMS for known in imported_files(imported))
    ]

    assert known == []


@pytest.mark.parametrize("file", ["wiring.py", "server.py"])
def test_collaborators_are_passed_to_constructors_and_not_assigned(file: str) -> None:
    assigned = [
        f"{file}:{node.lineno}"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for part in ast.walk(target)
        if isinstance(part, ast.Attribute)
    ]

    assert assigned == []
