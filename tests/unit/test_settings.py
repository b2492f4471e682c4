from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.settings import (
    DEFAULT_PARTICIPANTS,
    InvalidSettings,
    Settings,
    read_settings,
)


def read(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a process with exactly this environment."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return read_settings()


def test_settings_have_defaults_without_any_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {})

    assert (settings.saga_host, settings.service_port) == ("127.0.0.1", 8009)
    assert settings.database_url is None
    assert settings.saga_drain_time == timedelta(seconds=8)
    assert settings.saga_participants == DEFAULT_PARTICIPANTS
    assert settings.saga_shards == tuple(range(SHARD_COUNT))


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = read(
        monkeypatch,
        {
            "SERVICE_PORT": "9000",
            "SAGA_HOST": "0.0.0.0",
            "DATABASE_URL": "postgresql://db/saga",
            "SAGA_DATA_DIR": "elsewhere",
            "SAGA_LOG_LEVEL": "DEBUG",
            "SAGA_CALLS_PER_PARTICIPANT": "8",
            "SAGA_DRAIN_TIME": "1500ms",
            "SAGA_DEFINITIONS_DIR": str(tmp_path),
            "SAGA_CALLBACK_LOOPBACK": "true",
            "SAGA_SLEEP_CAP": "2s",
            "SAGA_SHARDS": "0-31",
            "SAGA_ALLOWED_HOSTS": "Saga.Example, *.pods.example,saga_1",
            "SAGA_ALLOWED_ORIGINS": "https://OPS.example:443,http://[::1]:3000 , http://a:80",
            "ORDER_SERVICE_URL": "http://orders:80",
        },
    )

    assert (settings.service_port, settings.saga_host) == (9000, "0.0.0.0")
    assert settings.database_url == "postgresql://db/saga"
    assert (settings.saga_data_dir, settings.saga_definitions_dir) == (Path("elsewhere"), tmp_path)
    assert (settings.saga_log_level, settings.saga_calls_per_participant) == ("debug", 8)
    assert settings.saga_drain_time == timedelta(milliseconds=1500)
    assert (settings.saga_callback_loopback, settings.saga_sleep_cap) == (
        True,
        timedelta(seconds=2),
    )
    assert settings.saga_shards == tuple(range(32))
    assert settings.saga_allowed_hosts == ("saga.example", "*.pods.example", "saga_1")
    assert settings.saga_allowed_origins == (
        "https://ops.example",
        "http://[::1]:3000",
        "http://a",
    )
    assert settings.saga_participants["order-service"] == "http://orders:80"


def test_a_participants_file_stands_in_the_place_of_the_usual_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "participants.yaml"
    file.write_text("{}")

    settings = read(
        monkeypatch,
        {"SAGA_PARTICIPANTS_FILE": str(file), "SHIPPING_SERVICE_URL": "http://ship"},
    )

    assert settings.saga_participants_file == file
    assert settings.saga_participants == {"shipping-service": "http://ship"}


def test_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch, {"DATABASE_URL": "", "SERVICE_PORT": "", "PAYMENT_SERVICE_URL": ""}
    )

    assert settings == read(monkeypatch, {})


def test_participants_are_named_by_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        {
            "SHIPPING_SERVICE_URL": "https://ship.example/api",
            "GIFT_WRAP_SERVICE_URL": "http://gifts",
            "service_url": "http://nobody",
        },
    )

    assert settings.saga_participants == {
        **DEFAULT_PARTICIPANTS,
        "shipping-service": "https://ship.example/api",
        "gift-wrap-service": "http://gifts",
    }


INVALID: Final = [
    ("SERVICE_PORT", "0", "SERVICE_PORT is wrong: "),
    ("SERVICE_PORT", "65536", "SERVICE_PORT is wrong: "),
    ("SERVICE_PORT", "http", "SERVICE_PORT is wrong: "),
    ("DATABASE_URL", "mysql://db", "DATABASE_URL is wrong: it must begin with postgresql://"),
    ("SAGA_LOG_LEVEL", "loud", "SAGA_LOG_LEVEL is wrong: 'loud' is none of debug, info"),
    ("SAGA_CALLS_PER_PARTICIPANT", "0", "SAGA_CALLS_PER_PARTICIPANT is wrong: "),
    ("SAGA_DRAIN_TIME", "soon", "SAGA_DRAIN_TIME is wrong: "),
    ("SAGA_DRAIN_TIME", "5", "SAGA_DRAIN_TIME is wrong: "),
    ("SAGA_DEFINITIONS_DIR", "nowhere/at/all", "SAGA_DEFINITIONS_DIR is wrong: "),
    ("SAGA_PARTICIPANTS_FILE", "nowhere/at/all", "SAGA_PARTICIPANTS_FILE is wrong: "),
    ("SAGA_CALLBACK_LOOPBACK", "perhaps", "SAGA_CALLBACK_LOOPBACK is wrong: "),
    ("SAGA_SLEEP_CAP", "0s", "SAGA_SLEEP_CAP is wrong: "),
    ("SAGA_SHARDS", "5", "SAGA_SHARDS is wrong: write a range of shards, 0-63 or a part of it"),
    ("SAGA_SHARDS", "7-3", "SAGA_SHARDS is wrong: "),
    ("SAGA_SHARDS", "0-64", "SAGA_SHARDS is wrong: "),
    ("SAGA_DATABASE_MODE", "sideways", "SAGA_DATABASE_MODE is wrong: "),
    ("SAGA_DATABASE_CONNECTIONS", "a few", "SAGA_DATABASE_CONNECTIONS is wrong: "),
    ("SAGA_NESTING_LIMIT", "deep", "SAGA_NESTING_LIMIT is wrong: "),
    ("SAGA_ALLOWED_HOSTS", "saga.example:8009", "SAGA_ALLOWED_HOSTS is wrong: 'saga.example:8"),
    ("SAGA_ALLOWED_HOSTS", "http://saga", "SAGA_ALLOWED_HOSTS is wrong: "),
    ("SAGA_ALLOWED_HOSTS", "*", "SAGA_ALLOWED_HOSTS is wrong: "),
    ("SAGA_ALLOWED_HOSTS", "saga,a*.example", "SAGA_ALLOWED_HOSTS is wrong: 'a*.example'"),
    ("SAGA_ALLOWED_ORIGINS", "ops.example", "SAGA_ALLOWED_ORIGINS is wrong: 'ops.example'"),
    ("SAGA_ALLOWED_ORIGINS", "https://ops.example/", "SAGA_ALLOWED_ORIGINS is wrong: "),
    ("SAGA_ALLOWED_ORIGINS", "null", "SAGA_ALLOWED_ORIGINS is wrong: "),
    ("SAGA_ALLOWED_ORIGINS", "*", "SAGA_ALLOWED_ORIGINS is wrong: "),
    ("SAGA_DRAIN_TIMES", "5s", "SAGA_DRAIN_TIMES is no setting; there are "),
    ("ORDER_SERVICE_URL", "orders", "ORDER_SERVICE_URL is wrong: write a base URL like"),
    ("ORDER_SERVICE_URL", "ftp://orders", "ORDER_SERVICE_URL is wrong: "),
    ("ORDER_SERVICE_URL", "http://orders?x=1", "ORDER_SERVICE_URL is wrong: "),
    ("ORDER_SERVICE_URL", "http://me:secret@orders", "ORDER_SERVICE_URL is wrong: "),
    ("ORDER_SERVICE_URL", "http://orders:99999", "ORDER_SERVICE_URL is wrong: "),
    ("ORDER_SERVICE_URL", "http://[::1", "ORDER_SERVICE_URL is wrong: "),
]
# What is wrong with these is seen when they are used: tests/acceptance/test_command_line.py.
USED_LATER: Final = {"SAGA_HOST", "SAGA_DATA_DIR"}


@pytest.mark.parametrize(("name", "value", "why"), INVALID)
def test_invalid_setting_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        read(monkeypatch, {name: value})

    assert str(refused.value).startswith(why)
    assert "\n" not in str(refused.value)


def test_every_setting_has_an_invalid_value_here() -> None:
    settings = {name.upper() for name in Settings.model_fields} - {"SAGA_PARTICIPANTS"}

    assert settings - USED_LATER <= {name for name, _, _ in INVALID}


def test_a_secret_in_an_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ORDER_SERVICE_URL": "http://me:hunter2@orders",
        "DATABASE_URL": "mysql://me:hunter2@db",
    }.items():
        with pytest.raises(InvalidSettings) as refused:
            read(monkeypatch, {name: value})
        assert "hunter2" not in str(refused.value)


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {})

    with pytest.raises(ValidationError, match="frozen"):
        settings.service_port = 1  # type: ignore[misc]


@pytest.mark.parametrize("blanks", ["\n", " ", "\r\n", " \t\n"])
def test_blanks_around_a_value_are_removed(monkeypatch: pytest.MonkeyPatch, blanks: str) -> None:
    """`echo` and files of secrets leave such blanks."""
    environ = {
        "DATABASE_URL": "postgresql://db/saga",
        "ORDER_SERVICE_URL": "http://orders:80",
        "SAGA_HOST": "0.0.0.0",
        "SERVICE_PORT": "9000",
        "SAGA_DATA_DIR": "elsewhere",
        "SAGA_LOG_LEVEL": "debug",
        "SAGA_DRAIN_TIME": "3s",
        "SAGA_SHARDS": "0-31",
        "SAGA_DATABASE_MODE": "portable",
        "SAGA_CALLBACK_LOOPBACK": "true",
        "SAGA_PARTICIPANTS_FILE": "",
    }
    expected = read(monkeypatch, environ)

    padded = {name: f"{blanks}{value}{blanks}" for name, value in environ.items()}

    assert read(monkeypatch, padded) == expected


@pytest.mark.parametrize("name", ["DATABASE_URL", "ORDER_SERVICE_URL", "SAGA_HOST"])
@pytest.mark.parametrize("blank", ["\n", "\t", " ", "\x7f"])
def test_blanks_within_an_address_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, blank: str
) -> None:
    values = {"DATABASE_URL": "postgresql://db/sa{}ga", "ORDER_SERVICE_URL": "http://or{}der"}

    with pytest.raises(InvalidSettings, match=f"{name} is wrong: ") as refused:
        read(monkeypatch, {name: values.get(name, "saga{}host").format(blank)})

    assert "\n" not in str(refused.value)


def test_variables_for_other_services_named_saga_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kubernetes sets them for services of that name; others belong to the command line."""
    environ = {
        f"{name}_{rest}": value
        for name in ("SAGA", "SAGA_ORCHESTRATOR")
        for rest, value in {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "8009",
            "SERVICE_PORT_HTTP": "8009",
            "PORT": "tcp://10.0.0.1:8009",
            "PORT_8009_TCP": "tcp://10.0.0.1:8009",
            "PORT_8009_TCP_PROTO": "tcp",
            "PORT_8009_TCP_PORT": "8009",
            "PORT_8009_TCP_ADDR": "10.0.0.1",
        }.items()
    }

    settings = read(
        monkeypatch, {**environ, "SAGA_URL": "http://saga:8009", "SAGA_PROFILE": "production"}
    )

    assert settings == read(monkeypatch, {})


def test_a_participant_may_be_named_like_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {"SAGA_SHOP_SERVICE_URL": "http://shop"})

    assert settings.saga_participants["saga-shop-service"] == "http://shop"


@pytest.mark.parametrize(
    "name", ["SAGA_URLS", "SAGA_HTTP_PORT", "SAGA_PROFILES", "SAGA_SERVICE_HOSTS", "SAGA_DATABASE"]
)
def test_unknown_variable_with_the_prefix_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(InvalidSettings, match=f"{name} is no setting"):
        read(monkeypatch, {name: "8009"})
