"""Definitions for tests: the order of the examples, and short ones in words.

    define("book", "pay pivot attempts=2", "ship", deadline="1m")

Each step is its name and the words that differ from the default, which is one action and, as long
as the step can come to be undone, one compensation: `pivot`, `no_effect`, `on_reject`, `continue`,
`status`, `undone_by=NAME`, `attempts=N`, `undo_attempts=N`, `when=NAME` of a member of the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files

from ..definition import Definition
from ..reader import read_definition
from ..strict_json import Json, JsonObject
from ..yaml_document import parse_yaml

ORDER = files("saga_orchestrator.examples") / "definitions" / "order_processing.yaml"
OPTIONS = {"undone_by", "attempts", "undo_attempts", "when"}
FLAGS: Mapping[str, tuple[str, Json]] = {
    "pivot": ("pivot", True),
    "no_effect": ("effect", "none"),
    "on_reject": ("compensate_on_reject", True),
}


def order_definition() -> Definition:
    """Three steps: create_order, process_payment, and confirm_order, undone by create_order."""
    return read_definition(parse_yaml(ORDER.read_text()))


def define(*steps: str, name: str = "trip", deadline: str | None = None) -> Definition:
    """Raises InvalidDefinition, and KeyError for a word that is none of the above."""
    return read_definition(document(*steps, name=name, deadline=deadline))


def document(*steps: str, name: str = "trip", deadline: str | None = None) -> JsonObject:
    """What `define` reads, to be changed where words do not reach."""
    return {
        "saga": name,
        "version": 1,
        "steps": list(_steps(steps)),
        **({"deadline": deadline} if deadline else {}),
    }


def _steps(lines: tuple[str, ...]) -> Iterator[dict[str, Json]]:
    pivot_seen = False
    for line in lines:
        name, *words = line.split()
        pivot_seen = pivot_seen or "pivot" in words
        yield _step(name, words, undoable=not pivot_seen)


def _step(name: str, words: list[str], *, undoable: bool) -> dict[str, Json]:
    options = dict(word.split("=") for word in words if "=" in word)
    flags = dict(FLAGS[word] for word in words if word in FLAGS)
    unknown = [one for one in words if one not in (*FLAGS, "continue", "status") and "=" not in one]
    if unknown or options.keys() - OPTIONS:
        raise KeyError(f"{name} is described in unknown words: {' '.join(words)}")
    step: dict[str, Json] = {"name": name, "participant": f"{name}-service", **flags}
    step["action"] = _call(f"/{name}", options.get("attempts"))
    if "status" in words:
        step["status"] = {"path": f"/{name}/status"}
    if "when" in options:
        step["when"] = f"${{input.{options['when']}}}"
    if "undone_by" in options:
        step["undone_by"] = options["undone_by"]
    elif undoable and "no_effect" not in words:
        undo = _call(f"/{name}/undo", options.get("undo_attempts"))
        step["compensation"] = {**undo, "on_failure": "continue" if "continue" in words else "park"}
    return step


def _call(path: str, attempts: str | None) -> dict[str, Json]:
    return {"path": path, **({"retry": {"attempts": int(attempts)}} if attempts else {})}
