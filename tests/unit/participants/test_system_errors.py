"""No number and no class of an error of the system reaches an operator."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest
from saga_orchestrator.http.participants.system_errors import (
    MESSAGES,
    NAME_MESSAGES,
    describe_os_error,
)


@pytest.mark.parametrize("number", MESSAGES)
def test_system_error_is_described_in_plain_words(number: int) -> None:
    error = OSError(number, f"Connect call failed ('127.0.0.1', 8003), {os.strerror(number)}")

    assert describe_os_error(error) == MESSAGES[number]


@pytest.mark.parametrize("number", NAME_MESSAGES)
def test_resolver_error_is_described_in_plain_words(number: int) -> None:
    assert (
        describe_os_error(socket.gaierror(number, "Name or service not known"))
        == NAME_MESSAGES[number]
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EACCES, "Permission denied", "/data"), "permission denied: /data"),
        (OSError("the address is not allowed"), "the address is not allowed"),
        (socket.gaierror(-99, "x"), "the name could not be looked up"),
        (ssl.SSLError(1, "[SSL] wrong version number"), "[SSL] wrong version number"),
        (ValueError("label too long"), "label too long"),
    ],
)
def test_error_without_a_description_keeps_its_message(error: Exception, words: str) -> None:
    assert describe_os_error(error).endswith(words)
    assert "Errno" not in describe_os_error(error)
