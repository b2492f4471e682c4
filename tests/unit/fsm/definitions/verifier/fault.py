"""Definitions with one mistake, and the pieces that they and sound ones are made of."""

from __future__ import annotations

from dataclasses import dataclass

from saga_orchestrator.fsm.definitions.findings import Finding, InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Fault:
    """A sound definition but for one mistake."""

    name: str
    finding: tuple[str, str]  # where, and its code
    steps: list[Json]
    deadline: str | None = None
    input: JsonObject | None = None

    @property
    def document(self) -> JsonObject:
        limits: JsonObject = {"deadline": self.deadline} if self.deadline else {}
        schema: JsonObject = {} if self.input is None else {"input": self.input}
        return {"saga": "trip", "version": 1, **limits, **schema, "steps": self.steps}


def step(name: str, **members: Json) -> JsonObject:
    """One that calls a participant; null takes a member away."""
    usual: JsonObject = {
        "name": name,
        "participant": "hotel",
        "action": call(f"/{name}"),
        "compensation": call(f"/{name}/undo"),
    }
    merged = {**usual, **members}
    return {member: value for member, value in merged.items() if value is not None}


def call(path: str, **members: Json) -> JsonObject:
    return {"path": path, **members}


def pivot(name: str, **members: Json) -> JsonObject:
    return step(name, **{"compensation": None, "pivot": True, **members})


def beyond(name: str, **members: Json) -> JsonObject:
    """A step after a pivot."""
    return step(name, **{"compensation": None, **members})


def sleep(name: str, time: str, **members: Json) -> JsonObject:
    return {"name": name, "sleep": time, **members}


def wait(name: str, signal: str, time: str = "1m", **members: Json) -> JsonObject:
    return {"name": name, "wait_for": {"signal": signal, "timeout": time}, **members}


BOOK = step("book")
HELD = step("book", output={"id": "${response.body.id}"})
MAYBE = step("book", when="${input.hotel}")


def findings(document: Json) -> list[Finding]:
    """As the service tells them: of what is refused the errors, else the warnings."""
    try:
        return verify(parse_definition(document))
    except InvalidDefinition as refusal:
        return list(refusal.findings)


def is_refused(document: Json) -> bool:
    try:
        parse_definition(document)
    except InvalidDefinition:
        return True
    return False
