from __future__ import annotations

import inspect
import json
import logging
from types import ModuleType

import pytest
from saga_orchestrator.eventstore import errors as log_errors
from saga_orchestrator.fsm import errors as core_errors
from saga_orchestrator.fsm.runtime import errors as shell_errors
from saga_orchestrator.http.wire import errors as door_errors
from saga_orchestrator.http.wire.problems import PROBLEMS, problem_response
from saga_orchestrator.tests.support.asgi_requests import asgi_request

# Roots of families, which nobody raises, and what the shell never lets out as it is.
INTERNAL = {
    core_errors.SagaError,
    shell_errors.OrchestratorError,
    door_errors.RequestRefused,
    *(error for error in vars(log_errors).values() if inspect.isclass(error)),
}
REQUEST = asgi_request(path="/sagas/ü\ud800\r\n")


@pytest.mark.parametrize("room", [core_errors, shell_errors, log_errors, door_errors])
def test_every_refusal_has_a_status_or_is_internal(room: ModuleType) -> None:
    raised = {
        member
        for member in vars(room).values()
        if inspect.isclass(member)
        and issubclass(member, Exception)
        and member.__module__ == room.__name__
    }

    untold = {error for error in raised if not set(error.__mro__) & set(PROBLEMS)}
    assert untold <= INTERNAL


def test_a_code_stands_for_one_problem() -> None:
    codes = [problem.code for problem in PROBLEMS.values()]

    assert len(codes) == len(set(codes))


async def test_unexpected_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        response = await problem_response(
            REQUEST, ZeroDivisionError("postgresql://user:secret@host")
        )

    assert response.status_code == 500
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "/docs#internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": "The error is in the log of the service.",
        "instance": "/sagas/%C3%BC%3F%0D%0A",
        "code": "internal-error",
        "retryable": False,
    }
    assert [record.message for record in caplog.records] == ["request failed"]
    assert caplog.records[0].exc_info is not None


async def test_mistake_of_a_client_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await problem_response(REQUEST, shell_errors.SagaNotFound("x"))

    assert caplog.records == []


async def test_unavailable_service_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        response = await problem_response(REQUEST, shell_errors.Unavailable("the log is away"))

    assert response.headers["retry-after"] == "1"
    assert [record.exc_info for record in caplog.records] == [None]


async def test_a_long_text_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    response = await problem_response(REQUEST, shell_errors.DefinitionNotFound("\ud800" * 100_000))

    assert len(response.body) < 2000


@pytest.mark.parametrize(
    ("origin", "page"),
    [
        (None, "a page of another site"),
        ("null", "a page without an origin, as of a file or a sandboxed frame,"),
        ("https://shop.example", "a page of https://shop.example"),
    ],
)
def test_origin_of_a_foreign_page_is_named(origin: str | None, page: str) -> None:
    assert str(door_errors.ForeignOrigin(origin)).startswith(f"{page} may not call this service")
