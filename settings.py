"""Settings: one frozen model, read once from the environment and passed down as plain values.

An invalid setting stops the start with one line that says what to change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    DirectoryPath,
    Field,
    FilePath,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .fsm.definitions.validation_errors import describe_error
from .fsm.formats.duration import parse_duration

SERVICE_URL = re.compile(r"([A-Z][A-Z0-9_]*)_SERVICE_URL")
DEFAULT_PARTICIPANTS = {
    "order-service": "http://127.0.0.1:8003",
    "payment-service": "http://127.0.0.1:8004",
}
ALL_SHARDS = tuple(range(64))
SHARD_RANGE = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")
HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
ORIGIN = re.compile(r"(https?)://([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
DEFAULT_PORTS = {"http": "80", "https": "443"}
# A blank or a control character within an address is a mistake that parsers of URLs either remove
# silently or fail on later.
BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
# Variables that Kubernetes, and Docker links, set for other services whose names begin with `saga`,
# and those that the command line reads.
FOREIGN_VARIABLES = re.compile(
    r"SAGA_(?:URL|PROFILE|PORT(?:_.*)?|(?:.*_)?SERVICE_HOST|(?:.*_)?SERVICE_PORT(?:_.*)?"
    r"|.*_PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
SERVICE_PORT_VARIABLE = re.compile(r"SAGA_.*_PORT"), re.compile(r"(?:tcp|udp|sctp)://.*")
LOG_LEVELS = ("debug", "info", "warning", "error")


class InvalidSettings(Exception):
    """An invalid setting. The message is one line: which setting to change, and to what."""


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))


def _log_level(value: object) -> str:
    if str(value).lower() not in LOG_LEVELS:
        raise ValueError(f"{value!r} is none of {', '.join(LOG_LEVELS)}")
    return str(value).lower()


def _database_url(value: object) -> str:
    if not str(value).startswith(("postgresql://", "postgres://")):
        raise ValueError("it must begin with postgresql://")
    if BLANK.search(str(value)):
        raise ValueError("it has a blank or a line break in it: write it as one word, with %20")
    return str(value)


def _host(value: object) -> str:
    if BLANK.search(str(value)):
        raise ValueError("it has a blank or a line break in it: write one name or address")
    return str(value)


def _shards(value: object) -> tuple[int, ...]:
    if isinstance(value, tuple):
        return value
    match = SHARD_RANGE.fullmatch(str(value))
    shards = range(int(match[1]), int(match[2]) + 1) if match else range(0)
    if not shards or shards[-1] not in ALL_SHARDS:
        raise ValueError(f"write a range of shards, 0-{ALL_SHARDS[-1]} or a part of it")
    return tuple(shards)


def _split_list(value: object) -> list[str]:
    """Return the lower-case items of a list with commas."""
    texts = value.split(",") if isinstance(value, str) else cast(Iterable[str], value)
    return [text.strip().lower() for text in texts if text.strip()]


def _host_names(value: object) -> tuple[str, ...]:
    names = _split_list(value)
    for name in names:
        if not HOST_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no host name; write names like saga.example,*.pods.example,"
                " without scheme and port"
            )
    return tuple(names)


def _origins(value: object) -> tuple[str, ...]:
    """Return origins as browsers write them."""
    return tuple(_origin(text) for text in _split_list(value))


def _origin(text: str) -> str:
    if not (parts := ORIGIN.fullmatch(text)):
        raise ValueError(
            f"{text!r} is no origin; write scheme, host and perhaps port, like"
            " https://ops.example,http://127.0.0.1:3000"
        )
    is_usual = parts[3] in (None, DEFAULT_PORTS[parts[1]])
    return f"{parts[1]}://{parts[2]}" if is_usual else text


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class Settings(BaseSettings):
    """The settings of the service.

    Without a `database_url` it starts an embedded PostgreSQL with its data in `saga_data_dir`.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    service_port: Annotated[int, Field(ge=1, le=65535)] = 8009
    saga_host: Annotated[str, BeforeValidator(_host)] = "127.0.0.1"
    database_url: Annotated[str, BeforeValidator(_database_url)] | None = None
    saga_database_mode: Literal["postgresql", "portable"] = "postgresql"
    saga_database_connections: Annotated[int, Field(ge=7, le=100)] = 19
    saga_data_dir: Path = Path(".state/saga")
    saga_log_level: Annotated[str, BeforeValidator(_log_level)] = "info"
    saga_calls_per_participant: Annotated[int, Field(ge=1, le=10_000)] = 64
    saga_drain_time: Duration = timedelta(seconds=8)
    saga_definitions_dir: DirectoryPath | None = None
    saga_callback_loopback: bool = False
    saga_participants_file: FilePath | None = None
    saga_nesting_limit: Annotated[int, Field(ge=1, le=1000)] = 16
    saga_sleep_cap: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    saga_shards: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_shards)] = ALL_SHARDS
    saga_allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_host_names)] = ()
    saga_allowed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = ()
    saga_participants: Mapping[str, str] = Field(default=DEFAULT_PARTICIPANTS)

    @model_validator(mode="before")
    @classmethod
    def _strip_blanks(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        """Remove blanks around values: `echo` and files of secrets end with a line break."""
        values = {
            name: value.strip() if isinstance(value, str) else value
            for name, value in given.items()
        }
        return {name: value for name, value in values.items() if value != ""}


def read_settings() -> Settings:
    """Read the settings from the environment. Raises InvalidSettings."""
    _reject_unknown(os.environ)
    try:
        return Settings(saga_participants=_participants(os.environ))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "settings"
        why = describe_error(first["type"], first.get("ctx", {}))
        raise InvalidSettings(f"{name} is wrong: {why}") from None


def _reject_unknown(environ: Mapping[str, str]) -> None:
    """Reject unknown settings: a misspelt one would silently have its default."""
    known = sorted(name.upper() for name in Settings.model_fields if name != "saga_participants")
    for name, value in environ.items():
        if (
            name.startswith("SAGA_")
            and name not in known
            and not _belongs_to_another_program(name, value)
        ):
            raise InvalidSettings(f"{name} is no setting; there are {', '.join(known)}")


def _belongs_to_another_program(name: str, value: str) -> bool:
    """True if another program sets or reads the variable."""
    port, address = SERVICE_PORT_VARIABLE
    is_port = bool(port.fullmatch(name) and address.fullmatch(value))
    return is_port or bool(FOREIGN_VARIABLES.fullmatch(name) or SERVICE_URL.fullmatch(name))


def read_secret(variable: str) -> str | None:
    """Return a secret that the participants file names. It is no setting: settings may be shown."""
    return os.environ.get(variable)


def has_participant_variables() -> bool:
    """True if a variable gives participants their URLs."""
    return "SAGA_PARTICIPANTS_FILE" in os.environ or any(map(SERVICE_URL.fullmatch, os.environ))


def _participants(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the URLs of participants. Without a participants file those of the demo are known."""
    urls = {} if environ.get("SAGA_PARTICIPANTS_FILE", "").strip() else dict(DEFAULT_PARTICIPANTS)
    for name, value in environ.items():
        if (match := SERVICE_URL.fullmatch(name)) and (url := value.strip()):
            urls[f"{match[1].lower().replace('_', '-')}-service"] = _base_url(name, url)
    return urls


def _base_url(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or BLANK.search(value) or parts.query or parts.fragment or parts.username:
        raise InvalidSettings(f"{name} is wrong: write a base URL like http://127.0.0.1:8003")
    return value
