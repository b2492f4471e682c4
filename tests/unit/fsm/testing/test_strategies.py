from __future__ import annotations

from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.codec import TYPES
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.findings import Severity
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.formats.strict_json import Json, parse, parse_untrusted, serialize
from saga_orchestrator.fsm.testing import given
from saga_orchestrator.fsm.testing import strategies as some


@drawn(some.definitions())
def test_definitions_can_be_registered_and_started(definition: Definition) -> None:
    assert [finding for finding in verify(definition) if finding.severity is Severity.ERROR] == []
    assert definition.source == serialize(parse(definition.source))
    assert given(definition, input=some.INPUT).state.version > 1


@drawn(some.json_values)
def test_json_values_survive_serialization(value: Json) -> None:
    assert parse_untrusted(serialize(value)) == value


@drawn(st.sampled_from(list(TYPES)), st.data())
def test_events_of_every_type_are_drawn(name: str, data: st.DataObject) -> None:
    assert type(data.draw(some.events_of(TYPES[name]))) is TYPES[name]
