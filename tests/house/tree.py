"""The source as house tests see it: files, and what they import, call and read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = "saga_orchestrator"
NOT_OURS: Final = {
    ".git", ".venv", ".typing", ".state", ".hypothesis", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", "__pycache__", "build", "saga_orchestrator.egg-info",
}  # fmt: skip
# The inner ones first.
ROOMS: Final = (
    "fsm/definitions", "fsm/decider", "fsm/expressions", "fsm/formats", "fsm/invariants",
    "fsm/testing", "fsm/runtime/calls", "fsm/runtime/sharding", "fsm/runtime", "fsm",
    "eventstore/postgres", "eventstore/cluster", "eventstore",
    "projections/audit", "projections",
    "http/api", "http/wire", "http/participants", "http",
    "commands",
)  # fmt: skip
PRODUCTION: Final = (
    "fsm",
    "eventstore",
    "projections",
    "http",
    "commands",
    "server.py",
    "wiring.py",
    "settings.py",
    "cli.py",
)


@dataclass(frozen=True, slots=True)
class Import:
    """`module` is absolute; `names` are what is taken from it, if anything is."""

    importer: str
    line: int
    module: str
    names: tuple[str, ...]
    relative: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.module}"

    @property
    def is_ours(self) -> bool:
        return self.module.split(".")[0] == PACKAGE

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


@cache
def files() -> tuple[str, ...]:
    """Every file of the project, as a path from the root."""
    return tuple(sorted(_walk(ROOT)))


def _walk(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.name in NOT_OURS:
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path.relative_to(ROOT).as_posix()


def python_files(*places: str) -> list[str]:
    """Below any of the folders, or one of the files, named; all without a name."""
    return [
        file for file in files() if file.endswith(".py") and (not places or _is_below(file, places))
    ]


def production_files() -> list[str]:
    return [file for file in python_files(*PRODUCTION) if not file.startswith("fsm/testing/")]


def _is_below(file: str, places: tuple[str, ...]) -> bool:
    return any(file == place or file.startswith(f"{place}/") for place in places)


def room_of(file: str) -> str:
    """The innermost room that the file is in; for a file of the root, its own name."""
    return next((room for room in ROOMS if file.startswith(f"{room}/")), file)


@cache
def text(file: str) -> str:
    return (ROOT / file).read_text()


@cache
def tree(file: str) -> ast.Module:
    return ast.parse(text(file))


def imports(file: str) -> list[Import]:
    return [imported for node in ast.walk(tree(file)) for imported in _imports(file, node)]


def _imports(file: str, node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(file, node.lineno, alias.name, (), relative=False)
    if isinstance(node, ast.ImportFrom):
        module = _absolute(file, node)
        names = tuple(alias.name for alias in node.names)
        yield Import(file, node.lineno, module, names, relative=node.level > 0)


def _absolute(file: str, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = [PACKAGE, *Path(file).parent.parts]
    above = package[: len(package) - (node.level - 1)]
    return ".".join([*above, *filter(None, [node.module])])


def imported_files(imported: Import) -> list[str]:
    """The files of ours that an import names: of a package, the modules that are taken from it."""
    place = "/".join(imported.module.split(".")[1:])
    inside = [f"{place}/{name}".lstrip("/") for name in imported.names]
    found = [file for name in inside for file in _module_files(name)]
    return found if len(found) == len(inside) and found else _module_files(place) or [place]


def _module_files(place: str) -> list[str]:
    wanted = (f"{place}.py", f"{place}/__init__.py".lstrip("/"))
    return [file for file in wanted if file in files()]


def called_names(file: str) -> set[str]:
    """What is called by a plain name, `Driver(...)`, or by an attribute, `.append(...)`."""
    calls = [node.func for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    plain = {call.id for call in calls if isinstance(call, ast.Name)}
    return plain | {f".{call.attr}" for call in calls if isinstance(call, ast.Attribute)}


def dotted_names(file: str) -> set[str]:
    """Every `a.b` that is read, as it is written."""
    nodes = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute)]
    return {f"{node.value.id}.{node.attr}" for node in nodes if isinstance(node.value, ast.Name)}
