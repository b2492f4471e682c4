from __future__ import annotations

from hypothesis import given
from saga_orchestrator.fsm.happening import SignalSent, StartRequested, StepReported
from saga_orchestrator.fsm.runtime.message import Ask, Begin, decode_question, encode_question
from saga_orchestrator.fsm.strict_json import Json, serialize
from saga_orchestrator.fsm.testing.strategies import json_objects, json_values


@given(json_values)
def test_what_is_asked_of_another_node_arrives_as_it_was(value: Json) -> None:
    for happening in (
        SignalSent(name="go", body=value),
        StepReported(step="pay", done=True, output=value),
    ):
        question = Ask(saga_id="s", happening=happening)

        arrived = decode_question(encode_question(question))

        assert arrived == question
        assert encode_question(arrived) == encode_question(question)


@given(json_objects)
def test_a_start_at_another_node_has_the_same_input(given_input: dict[str, Json]) -> None:
    request = StartRequested(entity_id=1, input=given_input)
    question = Begin(saga_id="s", saga_type="trip", version=1, request=request)

    arrived = decode_question(encode_question(question))

    assert isinstance(arrived, Begin)
    assert serialize(arrived.request.input) == serialize(given_input)
