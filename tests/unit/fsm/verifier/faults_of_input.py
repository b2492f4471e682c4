"""Schemas of inputs that are none, and expressions that do not fit them."""

from __future__ import annotations

from saga_orchestrator.tests.unit.fsm.verifier.fault import BOOK, Fault

INPUT = [
    Fault(
        "a keyword of the schema is misspelt",
        ("/input/properties/room/typ", "bad-schema"),
        [BOOK],
        input={"properties": {"room": {"typ": "string"}}},
    ),
    Fault(
        "a schema is to be fetched",
        ("/input/$ref", "bad-schema"),
        [BOOK],
        input={"$ref": "https://example.com/room.json"},
    ),
    Fault(
        "a pattern could not be matched in linear time",
        ("/input/properties/room/pattern", "bad-schema"),
        [BOOK],
        input={"properties": {"room": {"pattern": "(?=1)"}}},
    ),
]
