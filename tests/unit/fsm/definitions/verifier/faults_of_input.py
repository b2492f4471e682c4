"""Schemas of inputs that are none, and expressions that do not fit them."""

from __future__ import annotations

from saga_orchestrator.fsm.formats.strict_json import JsonObject
from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import BOOK, Fault, call, step

CLOSED: JsonObject = {
    "required": ["room", "guest"],
    "properties": {"room": {"type": "string"}, "guest": {"type": "object"}},
    "additionalProperties": False,
}
NOTHING_FITS: list[tuple[str, JsonObject]] = [
    ("minimum", {"minimum": 5, "maximum": 1}),
    ("minimum", {"minimum": 5, "exclusiveMaximum": 5}),
    ("exclusiveMinimum", {"exclusiveMinimum": 5, "maximum": 5}),
    ("minLength", {"type": "string", "minLength": 2, "maxLength": 1}),
    ("minItems", {"minItems": 2, "maxItems": 1}),
    ("enum", {"enum": []}),
    ("const", {"type": "string", "const": 3}),
    ("const", {"const": 3, "enum": [1, 2]}),
    ("enum", {"enum": ["a", "b"], "type": "integer"}),
    ("enum", {"enum": [1, 2], "minimum": 3}),
]
INPUT = [
    *(
        Fault(
            f"nothing fits {schema}",
            (f"/input/properties/a/{keyword}", "never-fits"),
            [BOOK],
            input={"properties": {"a": schema}},
        )
        for keyword, schema in NOTHING_FITS
    ),
    Fault(
        "nothing fits a part that is referred to",
        ("/input/$defs/a/anyOf/0/enum", "never-fits"),
        [BOOK],
        input={"$defs": {"a": {"anyOf": [{"enum": []}, True]}}},
    ),
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
    Fault(
        "a member is read that is excluded",
        ("/steps/0/action/body/room", "no-such-input"),
        [step("book", action=call("/book", body={"room": "${input.roum}"}))],
        input=CLOSED,
    ),
    Fault(
        "a member of a text is read",
        ("/steps/0/action/body", "no-such-input"),
        [step("book", action=call("/book", body="${input.room.number}"))],
        input=CLOSED,
    ),
    Fault(
        "an entry of an object is read",
        ("/steps/0/action/body", "no-such-input"),
        [step("book", action=call("/book", body="${input.guest[0]}"))],
        input=CLOSED,
    ),
    Fault(
        "an entry is read that is one too many",
        ("/steps/0/action/body", "no-such-input"),
        [step("book", action=call("/book", body="${input.nights[2] || 'none'}"))],
        input={"properties": {"nights": {"type": "array", "items": True, "maxItems": 2}}},
    ),
    Fault(
        "a member is read that is not declared",
        ("/steps/0/compensation/path", "undeclared-input"),
        [step("book", compensation=call("/undo/${input.roum || 'none'}"))],
        input={"required": ["room"], "properties": {"room": {"type": "string"}}},
    ),
    Fault(
        "a member is read that a start may lack",
        ("/steps/0/action/path", "input-may-be-missing"),
        [step("book", action=call("/${input.room}"))],
        input={"properties": {"room": {"type": "string"}}},
    ),
    Fault(
        "an entry is read that a start may lack",
        ("/steps/0/action/body", "input-may-be-missing"),
        [step("book", action=call("/book", body="${input.step_data[1]}"))],
        input={
            "required": ["step_data"],
            "properties": {"step_data": {"type": "array", "minItems": 1, "items": {}}},
        },
    ),
    Fault(
        "a list stands in a path",
        ("/steps/0/action/path", "object-in-text"),
        [step("book", action=call("/${input.nights}"))],
        input={"required": ["nights"], "properties": {"nights": {"type": ["array", "null"]}}},
    ),
    Fault(
        "a number is a condition",
        ("/steps/0/when", "condition-not-boolean"),
        [step("book", when="${input.rooms}")],
        input={"properties": {"rooms": {"type": "integer"}}},
    ),
]
