"""Define short definitions for tests in words.

    define("book", "pay pivot attempts=2", "ship", deadline="1m")

A step is its name and what differs from the default: one action and, unless a pivot comes first,
one compensation.

    pivot, no_effect        the step is the pivot; it has no effect
    on_reject               it is compensated though it was rejected
    continue                the others are compensated though its compensation failed
    status                  its participant can be queried
    callback, poll          it is completed so, within 15 minutes
    undone_by=NAME          the compensation of another step undoes it
    attempts=N              of the action; undo_attempts=N of the compensation
    when=NAME               a member of the input must hold
    after=NAMES             with commas; none: it starts at once
    sleep=10m               instead of a call it waits for a time,
    signal=NAME             for a signal, for a day (or_park: then the saga parks),
    child=TYPE              or for a child saga
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..definitions.definition import Definition
from ..definitions.parser import parse_definition
from ..formats.strict_json import Json, JsonObject

OPTIONS = {"undone_by", "attempts", "undo_attempts", "when", "after", "sleep", "signal", "child"}
WORDS = {"continue", "status", "callback", "poll", "or_park"}
SIGNAL_TIMEOUT = "24h"
FLAGS: Mapping[str, tuple[str, Json]] = {
    "pivot": ("pivot", True),
    "no_effect": ("effect", "none"),
    "on_reject": ("compensate_on_reject", True),
}


def define(*steps: str, name: str = "trip", deadline: str | None = None) -> Definition:
    """Return the definition of these steps.

    Raises InvalidDefinition, and KeyError for a word that is none of the above.
    """
    return parse_definition(document(*steps, name=name, deadline=deadline))


def document(*steps: str, name: str = "trip", deadline: str | None = None) -> JsonObject:
    """Return the document that `define` reads, for what the words cannot say."""
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
    unknown = [word for word in words if word not in (*FLAGS, *WORDS) and "=" not in word]
    if unknown or options.keys() - OPTIONS:
        raise KeyError(f"{name} is described in unknown words: {' '.join(words)}")
    step: dict[str, Json] = {"name": name, **flags}
    if "when" in options:
        step["when"] = f"${{input.{options['when']}}}"
    if "after" in options:
        step["after"] = [name for name in options["after"].split(",") if name]
    if waits := _waiting_part(words, options):
        return {**step, **waits}
    return {**step, **_calling_part(name, words, options, undoable=undoable)}


def _waiting_part(words: list[str], options: Mapping[str, str]) -> dict[str, Json]:
    """Return the members of a step that waits instead of calling a participant."""
    if "sleep" in options:
        return {"sleep": options["sleep"]}
    if "signal" in options:
        on_timeout = "park" if "or_park" in words else "reject"
        signal = {"signal": options["signal"], "timeout": SIGNAL_TIMEOUT}
        return {"wait_for": {**signal, "on_timeout": on_timeout}}
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
