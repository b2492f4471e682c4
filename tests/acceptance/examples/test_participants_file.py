"""What a participants file says is done, what it says wrongly stops the start, and its secrets are
seen by their participant alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import (
    NotSent,
    Profile,
    Response,
    ResponseLost,
    redact_result,
)
from saga_orchestrator.fsm.formats.redaction import Redaction
from saga_orchestrator.fsm.runtime.calls.participant_settings import DEFAULTS
from saga_orchestrator.http.participants.config import read_participants_config
from saga_orchestrator.tests.acceptance.examples.conftest import CARD_TOKEN
from saga_orchestrator.tests.acceptance.examples.demo_participant import Behavior
from saga_orchestrator.tests.acceptance.examples.example_deployment import ExampleDeployment
from saga_orchestrator.tests.acceptance.examples.example_sagas import example_saga

SECRETS = {"BANK_TOKEN": "Bearer 0123456789", "SHORT": "s3cret", "SPLIT": "12345678\r\nx: y"}
FULL = """
bank-service:
  url: http://bank:8080/api
  profile: dtm
  calls_at_a_time: 8
  connect_timeout: 500ms
  headers: {Authorization: {secret: BANK_TOKEN}}
shop-service: {url: "http://shop"}
"""


def test_every_member_is_read() -> None:
    directory = read_participants_config(FULL, {}, SECRETS.get)

    bank = directory.settings["bank-service"]
    assert directory.urls == {
        "bank-service": "http://bank:8080/api",
        "shop-service": "http://shop",
    }
    assert (bank.profile, bank.calls_at_a_time) == (Profile.DTM, 8)
    assert bank.connect_timeout == timedelta(milliseconds=500)
    assert bank.headers == {"authorization": "Bearer 0123456789"}
    assert directory.settings["shop-service"] == DEFAULTS


def test_url_of_the_environment_wins() -> None:
    addressed = {"bank-service": "http://other", "third-service": "http://third"}

    directory = read_participants_config(FULL, addressed, SECRETS.get)

    assert directory.urls == {**addressed, "shop-service": "http://shop"}


def test_participant_settings_do_not_show_their_secrets() -> None:
    directory = read_participants_config(FULL, {}, SECRETS.get)

    assert "0123456789" not in repr(directory)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "line"),
        ("shop: {url: 'http://shop', colour: red}", "/shop/colour"),
        ("shop: {url: 'http://shop', profile: soap}", "/shop/profile"),
        ("shop: {url: 'http://shop', calls_at_a_time: 0}", "/shop/calls_at_a_time"),
        ("shop: {url: 'http://shop', connect_timeout: 5}", "/shop/connect_timeout"),
        ("shop: {url: 'ftp://shop'}", "the url of shop cannot be called"),
        ("shop: {profile: dtm}", "shop has no url"),
        ("shop: {url: 'http://shop', headers: {a: plain}}", "/shop/headers/a"),
        ("shop: {url: 'http://shop', headers: {a: {secret: NONE}}}", "NONE, which is not set"),
        ("shop: {url: 'http://shop', headers: {a: {secret: SHORT}}}", "SHORT is shorter"),
        ("shop: {url: 'http://shop', headers: {a: {secret: SPLIT}}}", "SPLIT has characters"),
        ("shop: {url: 'http://shop', headers: {Host: {secret: BANK_TOKEN}}}", "'Host' is not"),
        (
            "shop: {url: 'http://shop', headers: {Idempotency-Key: {secret: BANK_TOKEN}}}",
            "'Idempotency-Key' is not",
        ),
    ],
)
def test_invalid_file_is_refused_without_showing_a_secret(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        read_participants_config(text, {}, SECRETS.get)

    assert not any(secret in str(refused.value) for secret in SECRETS.values())


@pytest.mark.parametrize(
    ("came", "kept"),
    [
        (Response(401, {}, b'bad token "abc\\"defgh"'), Response(401, {}, b'bad token "[secret]"')),
        (Response(401, {}, b'bad token abc"defgh'), Response(401, {}, b"bad token [secret]")),
        (Response(200, {}, b"token"), Response(200, {}, b"token")),
        (ResponseLost('abc"defgh'), ResponseLost("[secret]")),
        (NotSent("refused"), NotSent("refused")),
    ],
)
def test_secret_is_redacted_with_and_without_its_scheme(
    came: Response | ResponseLost | NotSent, kept: Response | ResponseLost | NotSent
) -> None:
    assert redact_result(came, Redaction(['Token abc"defgh'])) == kept


def test_participant_gets_its_secret_and_no_response_shows_it(stage: ExampleDeployment) -> None:
    end = stage.play(example_saga("travel_booking"))

    outputs = {step["name"]: step["output"]["called_as"] for step in end["steps"]}
    shown = [stage.web.get(f"/sagas/{end['saga_id']}{path}").text for path in ("", "/events")]
    secret = CARD_TOKEN.split()[-1]
    assert outputs == {"book_flight": None, "book_hotel": None, "charge_card": "[secret]"}
    assert not any(secret in text for text in (*shown, stage.log.read_text()))


def test_secret_is_read_from_the_environment(stage: ExampleDeployment) -> None:
    stage.set_behavior("charge_card", Behavior.REJECT, times=1)

    stage.play(example_saga("travel_booking"))

    assert [call["authorization"] for call in stage.calls("charge_card")] == [CARD_TOKEN]
