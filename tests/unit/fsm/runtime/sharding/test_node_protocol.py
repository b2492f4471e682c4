"""What nodes ask of one another, and what they answer, comes as it was sent."""

from __future__ import annotations

from typing import cast, get_args

import pytest
from hypothesis import given
from saga_orchestrator.fsm.errors import (
    ChildrenUnderWay,
    DrivenByParent,
    NotAllowed,
    TooManySignals,
    UnknownSignal,
)
from saga_orchestrator.fsm.events import Resolution
from saga_orchestrator.fsm.formats.strict_json import Json, serialize
from saga_orchestrator.fsm.inputs import (
    Abandon,
    ChildPolicy,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
    StartSaga,
    StepCallback,
)
from saga_orchestrator.fsm.runtime.sharding.node_protocol import (
    INPUT_KINDS,
    REFUSAL_KINDS,
    RemoteCommand,
    RemoteInput,
    RemoteStart,
    decode_request,
    decode_result,
    encode_request,
    encode_result,
)
from saga_orchestrator.fsm.testing.strategies import json_objects, json_values

VERBS: list[OperatorCommand] = [
    Abandon(reason="enough", children=ChildPolicy.CANCEL),
    Abandon(reason="enough"),
    Pause(actor="anna"),
    ResolveStep(step="pay", verdict=Resolution.DONE, evidence="seen", output={"id": 7}),
    Resume(),
    Retry(step="pay"),
    Retry(reason="again"),
    SendSignal(name="go", body=[1], key="k"),
    SkipStep(step="pay"),
]
REFUSED = [
    ChildrenUnderWay("s1", ["c1", "c2"]),
    DrivenByParent("c1", "cancel", "s1", ["pause"]),
    NotAllowed("s1", "retry", "nothing is parked", ["pause"]),
    TooManySignals("s1", "signal", "100 are kept"),
    UnknownSignal("s1", "aproved", ["approved"]),
]


@given(json_values)
def test_what_is_asked_of_another_node_arrives_as_it_was(value: Json) -> None:
    for happening in (
        SendSignal(name="go", body=value),
        StepCallback(step="pay", done=True, output=value),
    ):
        question = RemoteCommand(saga_id="s", input=happening)

        arrived = decode_request(encode_request(question))

        assert arrived == question
        assert encode_request(arrived) == encode_request(question)


@given(json_objects)
def test_a_start_at_another_node_has_the_same_input(given_input: dict[str, Json]) -> None:
    request = StartSaga(entity_id=1, input=given_input)
    question = RemoteStart(saga_id="s", saga_type="trip", version=1, request=request)

    arrived = decode_request(encode_request(question))

    assert isinstance(arrived, RemoteStart)
    assert serialize(arrived.request.input) == serialize(given_input)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_arrives_as_it_was_asked(verb: OperatorCommand) -> None:
    question = RemoteCommand(saga_id="s1", input=verb, expected_version=3)

    assert decode_request(encode_request(question)) == question


@pytest.mark.parametrize("refusal", REFUSED, ids=lambda one: type(one).__name__)
def test_a_refusal_arrives_with_its_facts(refusal: Exception) -> None:
    with pytest.raises(type(refusal)) as arrived:
        decode_result(encode_result(refusal))

    assert str(arrived.value) == str(refusal)
    facts = {name: _listed(fact) for name, fact in vars(arrived.value).items()}
    assert facts == {name: _listed(fact) for name, fact in vars(refusal).items()}


def _listed(fact: object) -> object:
    return list(fact) if isinstance(fact, tuple) else fact


@pytest.mark.parametrize(("kind", "happening"), INPUT_KINDS.items())
def test_a_message_of_before_is_read_under_its_name(
    kind: str, happening: type[RemoteInput]
) -> None:
    needed = {"step": "pay", "done": True, "verdict": "done", "evidence": "seen", "name": "go"}
    members = {name: needed[name] for name in happening.__struct_fields__ if name in needed}
    body = {"saga_id": "s1", "kind": kind, "happening": members, "expected_version": None}

    question = decode_request(serialize(cast(Json, body)))

    assert isinstance(question, RemoteCommand)
    assert type(question.input) is happening


def test_the_names_of_messages_are_those_of_the_inboxes_there_are() -> None:
    assert set(INPUT_KINDS) == {
        "CompensationAsked", "CancelAsked", "RetryAsked", "PauseAsked", "ResumeAsked",
        "AbandonAsked", "SkipAsked", "ResolveAsked", "SignalSent", "StepReported",
    }  # fmt: skip
    assert set(INPUT_KINDS.values()) == {*get_args(OperatorCommand), StepCallback}
    assert set(REFUSAL_KINDS) == {
        "ChildrenUnderWay", "CorruptStream", "DefinitionNotFound", "DrivenByParent", "NoSuchStep",
        "NotAllowed", "NotCompensatable", "NotServing", "SagaNotFound", "TooManySignals",
        "UnknownSignal", "VersionMoved",
    }  # fmt: skip
