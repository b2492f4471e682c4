"""The participants file: the participants, their base URLs, and the settings of their calls.

    bank-service:
      url: https://bank.example/api      # unless BANK_SERVICE_URL says otherwise
      profile: dtm
      calls_at_a_time: 8
      connect_timeout: 500ms
      headers: {authorization: {secret: BANK_TOKEN}}

A secret is named here and kept elsewhere, so that the file can be shown, reviewed and checked in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from ...fsm.call_outcome import Profile
from ...fsm.definitions.reserved_headers import HEADER_NAME, RESERVED_HEADERS
from ...fsm.definitions.schema import PATTERN_MESSAGES, Duration, Model, Name
from ...fsm.definitions.validation_errors import validation_findings
from ...fsm.formats.redaction import MIN_SECRET_CHARACTERS
from ...fsm.formats.strict_json import serialize
from ...fsm.formats.strict_yaml import parse_yaml
from ...fsm.runtime.calls.participant_settings import ParticipantSettings
from .base_url import BaseUrl

MAX_CALLS_AT_A_TIME = 10_000
SENDABLE = re.compile(r"[!-~](?:[\t -~]*[!-~])?")  # as the value of a header
NOT_CONFIGURABLE = RESERVED_HEADERS | {"accept-encoding"}

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,200}$"
PARTICIPANT_PATTERN_MESSAGES = {
    **PATTERN_MESSAGES,
    VARIABLE: "must be the name of an environment variable",
}

Secrets: TypeAlias = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantsConfig:
    """Base URLs, and settings that differ from the defaults, by name of participant."""

    urls: Mapping[str, str]
    settings: Mapping[str, ParticipantSettings]

    def secrets(self) -> list[str]:
        """Return all secrets that are sent to participants."""
        return [value for settings in self.settings.values() for value in settings.headers.values()]


class SecretModel(Model):
    """The name of the environment variable that holds a secret."""

    secret: Annotated[str, StringConstraints(pattern=VARIABLE)]


class ParticipantModel(Model):
    url: Annotated[str, Field(max_length=2000)] | None = None
    profile: Profile = Profile.HTTP
    calls_at_a_time: Annotated[int, Field(ge=1, le=MAX_CALLS_AT_A_TIME)] | None = None
    connect_timeout: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    headers: dict[str, SecretModel] = Field(default_factory=dict, max_length=20)


FILE = TypeAdapter(dict[Name, ParticipantModel])


def check_urls(addressed: Mapping[str, str]) -> None:
    """Check base URLs by name of participant. Raises ValueError that names a wrong one."""
    for name, url in addressed.items():
        _check_url(name, url)


def read_participants_config(
    text: str, addressed: Mapping[str, str], secrets: Secrets
) -> ParticipantsConfig:
    """Parse the file. URLs in `addressed` win over those in `text`.

    Raises ValueError that says what to change, and holds no secret.
    """
    entries = _entries(text)
    given = {name: entry.url for name, entry in entries.items() if entry.url is not None}
    urls = {**given, **addressed}
    for name in entries:
        _check_url(name, urls.get(name))
    settings = {name: _settings(name, entry, secrets) for name, entry in entries.items()}
    return ParticipantsConfig(urls=urls, settings=settings)


def participant_names(text: str) -> Collection[str]:
    """Return the participants that a file lists. Raises ValueError that says what to change."""
    return _entries(text).keys()


def _entries(text: str) -> Mapping[str, ParticipantModel]:
    try:
        return FILE.validate_json(serialize(parse_yaml(text)))
    except ValidationError as error:
        wrong = (
            f"{finding.pointer or 'the file'} {finding.detail}"
            for finding in validation_findings(error, patterns=PARTICIPANT_PATTERN_MESSAGES)
        )
        raise ValueError("; ".join(wrong)) from None


def _check_url(name: str, url: str | None) -> None:
    if url is None:
        raise ValueError(f"{name} has no url, and no variable <NAME>_SERVICE_URL gives it one")
    try:
        BaseUrl.parse(url)
    except ValueError as error:
        raise ValueError(f"the url of {name} cannot be called: {error}") from None


def _settings(name: str, entry: ParticipantModel, secrets: Secrets) -> ParticipantSettings:
    return ParticipantSettings(
        profile=entry.profile,
        calls_at_a_time=entry.calls_at_a_time,
        connect_timeout=entry.connect_timeout,
        headers=dict(_headers(name, entry, secrets)),
    )


def _headers(name: str, entry: ParticipantModel, secrets: Secrets) -> Iterator[tuple[str, str]]:
    for header, model in entry.headers.items():
        if not HEADER_NAME.fullmatch(header) or header.lower() in NOT_CONFIGURABLE:
            raise ValueError(f"{header!r} is not a header that {name} can be sent")
        yield header.lower(), _secret(name, model.secret, secrets)


def _secret(name: str, variable: str, secrets: Secrets) -> str:
    secret = secrets(variable)
    if not secret:
        raise ValueError(f"{name} needs the secret {variable}, which is not set")
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise ValueError(
            f"the secret {variable} is shorter than {MIN_SECRET_CHARACTERS} characters"
        )
    if not SENDABLE.fullmatch(secret):
        raise ValueError(f"the secret {variable} has characters that a header cannot carry")
    return secret
