"""Holds an answer against what the route table says of it."""

from __future__ import annotations

import httpx
from saga_orchestrator.http.openapi import RESPONSE_HEADERS, possible_problems
from saga_orchestrator.http.wire.responses import ProblemDetails
from saga_orchestrator.http.wire.route import RouteSpec

OUR_HEADERS = {name.lower() for name in (*RESPONSE_HEADERS, "Allow")}
OF_OTHER_PATHS = {"unknown-path", "method-not-allowed"}  # what a place leads to that is none


def assert_described(route: RouteSpec, response: httpx.Response) -> None:
    """A reply of the route, in all its members and headers, or one of its problems."""
    if response.is_error and response.status_code not in route.responses:
        _assert_problem(route, response)
        return
    reply = route.responses[response.status_code]
    if reply.media_type is None:
        assert response.content == b""
    else:
        assert response.headers["content-type"].partition(";")[0] == reply.media_type
    assert OUR_HEADERS & set(response.headers) <= {name.lower() for name in reply.headers}
    if reply.model:
        reply.model.model_validate_json(response.content)


def _assert_problem(route: RouteSpec, response: httpx.Response) -> None:
    problem = ProblemDetails.model_validate_json(response.content)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem.status == response.status_code
    assert (
        problem.code
        in {each_problem.code for each_problem in possible_problems(route)} | OF_OTHER_PATHS
    )
