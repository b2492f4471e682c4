"""Requests and results of nodes survive the round trip, those of former versions are read."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest
from hypothesis import given
from saga_orchestrator.fsm import errors as core_errors
from saga_orchestrator.fsm.errors import (
    ChildrenUnderWay,
    CorruptStream,
    DrivenByParent,
    NotAllowed,
    NotCompensatable,
    StepNotFound,
    TooManySignals,
    UnknownSignal,
    WouldParkAgain,
)
from saga_orchestrator.fsm.events import Resolution
from saga_orchestrator.fsm.formats.strict_json import Json, parse, serialize
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    ChildPolicy,
    Compensate,
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
from saga_orchestrator.fsm.runtime import errors as runtime_errors
from saga_orchestrator.fsm.runtime.errors import (
    DefinitionNotFound,
    SagaNotFound,
    Unavailable,
    VersionConflict,
)
from saga_orchestrator.fsm.runtime.sharding.node_protocol import (
    FORMER_INPUT_KINDS,
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

COMMANDS: list[OperatorCommand] = [
    Abandon(reason="enough", children=ChildPolicy.CANCEL),
    Abandon(reason="enough"),
    Cancel(actor="anna"),
    Compensate(reason="returned"),
    Pause(actor="anna"),
    ResolveStep(step="pay", verdict=Resolution.DONE, evidence="seen", output={"id": 7}),
    Resume(),
    Retry(step="pay"),
    Retry(reason="again"),
    SendSignal(name="go", body=[1], key="k"),
    SkipStep(step="pay"),
]
REFUSALS: list[Exception] = [
    ChildrenUnderWay("s1", ["c1", "c2"]),
    CorruptStream("s1", 3, "no machine allows it"),
    DefinitionNotFound("trip", 2),
    DrivenByParent("c1", "cancel", "s1", ["pause"]),
    NotAllowed("s1", "retry", "nothing is parked", ["pause"], possible=["pause it"]),
    NotCompensatable("s1", "compensate", "the pivot has succeeded"),
    SagaNotFound("s1"),
    StepNotFound("s1", "pya"),
    TooManySignals("s1", "signal", "100 are kept"),
    Unavailable("the service is stopping"),
    UnknownSignal("s1", "aproved", ["approved"]),
    VersionConflict("s1", 7),
    WouldParkAgain("s1", "retry", "the output is still missing", ["skip"], possible=["skip it"]),
]
# Errors that a request to another node cannot raise there, or that leave the message in the inbox.
NOT_SENT = {
    "BulkJobNotFound", "DefinitionExists", "IdempotencyKeyReused", "NotShardOwner",
    "OrchestratorError", "OutcomeUnknown", "Overloaded", "SagaError", "VersionNotReached",
}  # fmt: skip
FORMER_COMMANDS = {
    b'{"saga_id":"s1","kind":"CompensationAsked","happening":{"reason":"returned"},'
    b'"expected_version":3}': Compensate(reason="returned"),
    b'{"saga_id":"s1","kind":"CancelAsked","happening":{},"expected_version":3}': Cancel(),
    b'{"saga_id":"s1","kind":"RetryAsked","happening":{"step":"pay"},"expected_version":3}': Retry(
        step="pay"
    ),
    b'{"saga_id":"s1","kind":"PauseAsked","happening":{"actor":"anna"},"expected_version":3}':
        Pause(actor="anna"),
    b'{"saga_id":"s1","kind":"ResumeAsked","happening":{},"expected_version":3}': Resume(),
    b'{"saga_id":"s1","kind":"AbandonAsked","happening":{"reason":"enough","children":"cancel"},'
    b'"expected_version":3}': Abandon(reason="enough", children=ChildPolicy.CANCEL),
    b'{"saga_id":"s1","kind":"SkipAsked","happening":{"step":"pay"},"expected_version":3}':
        SkipStep(step="pay"),
    b'{"saga_id":"s1","kind":"ResolveAsked","happening":{"step":"pay","verdict":"done",'
    b'"evidence":"seen","output":{"id":7}},"expected_version":3}': ResolveStep(
        step="pay", verdict=Resolution.DONE, evidence="seen", output={"id": 7}
    ),
    b'{"saga_id":"s1","kind":"SignalSent","happening":{"name":"go","body":[1],"key":"k"},'
    b'"expected_version":3}': SendSignal(name="go", body=[1], key="k"),
    b'{"saga_id":"s1","kind":"StepReported","happening":{"step":"pay","done":true,"output":1},'
    b'"expected_version":3}': StepCallback(step="pay", done=True, output=1),
}  # fmt: skip
FORMER_REFUSALS = {
    b'{"kind":"NotAllowed","text":"","facts":{"saga_id":"s1","verb":"retry","why":"no",'
    b'"allowed_actions":["pause"],"possible":["pause it"]}}': NotAllowed(
        "s1", "retry", "no", ["pause"], possible=["pause it"]
    ),
    b'{"kind":"ChildrenUnderWay","text":"","facts":{"saga_id":"s1","verb":"abandon","why":"x",'
    b'"allowed_actions":[],"possible":[],"children":["c1"]}}': ChildrenUnderWay("s1", ["c1"]),
    b'{"kind":"DrivenByParent","text":"","facts":{"saga_id":"c1","verb":"cancel","why":"x",'
    b'"allowed_actions":["pause"],"possible":[],"parent":"s1"}}': DrivenByParent(
        "c1", "cancel", "s1", ["pause"]
    ),
    b'{"kind":"NoSuchStep","text":"saga s1 has no step \'pya\'",'
    b'"facts":{"saga_id":"s1","step":"pya"}}': StepNotFound("s1", "pya"),
    b'{"kind":"UnknownSignal","text":"no step of saga s1 waits for \'go\'; it waits for none",'
    b'"facts":{"saga_id":"s1","known":[]}}': UnknownSignal("s1", "go", []),
    b'{"kind":"NotServing","text":"stopping","facts":{}}': Unavailable("stopping"),
    b'{"kind":"SagaNotFound","text":"there is no saga s1","facts":{"saga_id":"s1"}}': SagaNotFound(
        "s1"
    ),
}


@given(json_values)
def test_input_survives_the_round_trip(value: Json) -> None:
    for remote_input in (
        SendSignal(name="go", body=value),
        StepCallback(step="pay", done=True, output=value),
    ):
        request = RemoteCommand(saga_id="s", input=remote_input)

        decoded = decode_request(encode_request(request))

        assert decoded == request
        assert encode_request(decoded) == encode_request(request)


@given(json_objects)
def test_start_survives_the_round_trip(saga_input: dict[str, Json]) -> None:
    request = StartSaga(entity_id=1, input=saga_input)
    start = RemoteStart(saga_id="s", saga_type="trip", version=1, request=request)

    decoded = decode_request(encode_request(start))

    assert isinstance(decoded, RemoteStart)
    assert serialize(decoded.request.input) == serialize(saga_input)


@pytest.mark.parametrize("command", COMMANDS)
def test_operator_command_survives_the_round_trip(command: OperatorCommand) -> None:
    request = RemoteCommand(saga_id="s1", input=command, expected_version=3)

    assert decode_request(encode_request(request)) == request


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
def test_refusal_survives_the_round_trip(refusal: Exception) -> None:
    with pytest.raises(type(refusal)) as raised:
        decode_result(encode_result(refusal))

    assert type(raised.value) is type(refusal)
    assert str(raised.value) == str(refusal)
    assert vars(raised.value) == vars(refusal)


def test_every_error_is_sent_or_named_as_one_that_is_not() -> None:
    errors = {
        name
        for module in (core_errors, runtime_errors)
        for name, error in inspect.getmembers(module, inspect.isclass)
        if issubclass(error, Exception) and error.__module__ == module.__name__
    }

    assert {kind.type.__name__ for kind in REFUSAL_KINDS.values()} == errors - NOT_SENT
    assert {type(refusal) for refusal in REFUSALS} == {kind.type for kind in REFUSAL_KINDS.values()}


@pytest.mark.parametrize(("stored", "command"), FORMER_COMMANDS.items())
def test_command_of_a_former_version_is_read(stored: bytes, command: RemoteInput) -> None:
    request = RemoteCommand(saga_id="s1", input=command, expected_version=3)

    assert decode_request(stored) == request


@pytest.mark.parametrize(("stored", "refusal"), FORMER_REFUSALS.items())
def test_refusal_of_a_former_version_is_read(stored: bytes, refusal: Exception) -> None:
    with pytest.raises(type(refusal)) as raised:
        decode_result(stored)

    assert str(raised.value) == str(refusal)


def test_stored_names_of_inputs_and_refusals_are_pinned() -> None:
    assert set(INPUT_KINDS) == {
        "compensate", "cancel", "retry", "pause", "resume", "abandon", "skip_step", "resolve_step",
        "send_signal", "step_callback",
    }  # fmt: skip
    assert set(INPUT_KINDS.values()) == {*get_args(OperatorCommand), StepCallback}
    assert set(FORMER_INPUT_KINDS.values()) == set(INPUT_KINDS.values())
    assert set(REFUSAL_KINDS) == {
        "children_under_way", "corrupt_stream", "definition_not_found", "driven_by_parent",
        "not_allowed", "not_compensatable", "saga_not_found", "step_not_found", "too_many_signals",
        "unavailable", "unknown_signal", "version_conflict", "would_park_again",
    }  # fmt: skip


def test_stored_form_of_a_command_and_a_refusal_is_pinned() -> None:
    command = RemoteCommand(saga_id="s1", input=Retry(step="pay"), expected_version=3)

    assert parse(encode_request(command)) == {
        "saga_id": "s1", "input": "retry", "fields": {"step": "pay"}, "expected_version": 3,
    }  # fmt: skip
    assert parse(encode_result(SagaNotFound("s1"))) == {
        "refusal": "saga_not_found", "facts": {"saga_id": "s1"},
    }  # fmt: skip
