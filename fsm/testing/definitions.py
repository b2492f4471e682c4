"""Definitions for tests: the built-in order, and short ones in words.

    define("book", "pay pivot attempts=2", "ship", deadline="1m")

Each step is its name and the words that differ from the default, which is one action and, as long
as the step can come to be undone, one compensation: `pivot`, `no_effect`, `on_reject`, `continue`,
`status`, `callback` or `poll` within 15 minutes, `undone_by=NAME`, `attempts=N`, `undo_attempts=N`,
`when=NAME` of a member of the input, `after=NAMES` with commas, or none to start at once. Instead
of calling anybody, a step may `sleep=10m`, wait for a `signal=NAME` for a day (`or_park`: parks
then), or be another saga, `child=TYPE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files

from ..definitions.definition import Definition
from ..definitions.parser import parse_definition
from ..formats.strict_json import Json, JsonObject
from ..formats.strict_yaml import parse_yaml

ORDER = files("saga_orchestrator.fsm.definitions") / "builtin" / "order_processing_2.yaml"
OPTIONS = {"undone_by", "attempts", "undo_attempts", "when", "after", "sleep", "signal", "child"}
WORDS = {"continue", "status", "callback", "poll", "or_park"}
SIGNAL_TIMEOUT = "24h"  # of a step that waits for a signal
FLAGS: Mapping[str, tuple[str, Json]] = {
    "pivot": ("pivot", True),
    "no_effect": ("effect", "none"),
    "on_reject": ("compensate_on_reject", True),
}


def order_definition() -> Definition:
    """Three steps: create_order, process_payment, and confirm_order, undone by create_order."""
    return parse_definition(parse_yaml(ORDER.read_text()))


def define(*steps: str, name: str = "trip", deadline: str | None = None) -> Definition:
    """Raises InvalidDefinition, and KeyError for a word that is none of the above."""
    return parse_definition(document(*steps, name=name, deadline=deadline))


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
    unknown = [one for one in words if one not in (*FLAGS, *WORDS) and "=" not in one]
    if unknown or options.keys() - OPTIONS:
        raise KeyError(f"{name} is described in unknown words: {' '.join(words)}")
    step: dict[str, Json] = {"name": name, **flags}
    if "when" in options:
        step["when"] = f"${{input.{options['when']}}}"
    if "after" in options:
        step["after"] = [one for one in options["after"].split(",") if one]
    if waits := _waiting_part(words, options):
        return {**step, **waits}
    return {**step, **_calling_part(name, words, options, undoable=undoable)}


def _waiting_part(words: list[str], options: Mapping[str, str]) -> dict[str, Json]:
    """What a step does that calls nobody."""
    if "sleep" in options:
        return {"sleep": options["sleep"]}
    if "signal" in options:
        over = "park" if "or_park" in words else "reject"
        waited = {"signal": options["signal"], "timeout": SIGNAL_TIMEOUT, "on_timeout": over}
        return {"wait_for": waited}
    return {"saga": {"type": options["child"]}} if "child" in options else {}


def _calling_part(
    name: str, words: list[str], options: Mapping[str, str], *, undoable: bool
) -> dict[str, Json]:
    step: dict[str, Json] = {"participant": f"{name}-service"}
    step["action"] = _call(f"/{name}", options.get("attempts"))
    if completion := {"callback", "poll"}.intersection(words):
        step["completion"] = completion.pop()
    if not {"status", "poll"}.isdisjoint(words):
        step["status"] = {"path": f"/{name}/status"}
    if "undone_by" in options:
        step["undone_by"] = options["undone_by"]
    elif undoable and "no_effect" not in words:
        undo = _call(f"/{name}/undo", options.get("undo_attempts"))
        step["compensation"] = {**undo, "on_failure": "continue" if "continue" in words else "park"}
    return step


def _call(path: str, attempts: str | None) -> dict[str, Json]:
    return {"path": path, **({"retry": {"attempts": int(attempts)}} if attempts else {})}
