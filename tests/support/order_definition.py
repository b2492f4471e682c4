"""The built-in order, in its second version, which has an `input:`."""

from __future__ import annotations

from importlib.resources import files

from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml

ORDER = files("saga_orchestrator.fsm.definitions") / "builtin" / "order_processing_2.yaml"


def order_definition() -> Definition:
    """Return three steps: create_order, process_payment and confirm_order."""
    return parse_definition(parse_yaml(ORDER.read_text()))
