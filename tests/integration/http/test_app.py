"""The application as Starlette users know it: middleware, mounts and error handling."""

from __future__ import annotations

from typing import NoReturn

import httpx
import pytest
from saga_orchestrator.http.app import ROUTES, build_app
from saga_orchestrator.http.state import AppState
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequireToken:
    """Middleware of a user: only requests with a token pass."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = scope["type"] != "http" or (b"authorization", b"secret") in scope["headers"]
        app = self.app if allowed else PlainTextResponse("no token", 401)
        await app(scope, receive, send)


async def get(app: Starlette, state: AppState, path: str, **headers: str) -> httpx.Response:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {**state}}, receive, send)

    transport = httpx.ASGITransport(serve, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://saga") as client:
        return await client.get(path, headers=headers)


async def test_added_middleware_sees_every_request(state: AppState) -> None:
    app = build_app(version="1")
    app.add_middleware(RequireToken)

    assert (await get(app, state, "/livez")).status_code == 401
    assert (await get(app, state, "/livez", Authorization="secret")).status_code == 200


async def test_mounted_application_is_served_beside_the_api(state: AppState) -> None:
    async def hello(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = build_app(version="1")
    app.mount("/added", Starlette(routes=[Route("/a b", hello)]))

    assert (await get(app, state, "/added/a%20b")).text == "hello"
    assert (await get(app, state, "/livez")).status_code == 200


async def no_file(_: object) -> PlainTextResponse:
    raise HTTPException(404, "no such file")


MOUNTED = [Route("/file", no_file), Route("/edit", no_file, methods=["PUT"])]


@pytest.mark.parametrize(
    "mounted", [Starlette(routes=MOUNTED), Router(MOUNTED)], ids=["application", "router"]
)
@pytest.mark.parametrize(("path", "text"), [("file", "no such file"), ("nothing", "Not Found")])
async def test_not_found_of_a_mounted_application_passes_untouched(
    state: AppState, mounted: ASGIApp, path: str, text: str
) -> None:
    app = build_app(version="1")
    app.mount("/added", mounted)

    response = await get(app, state, f"/added/{path}")

    assert (response.status_code, response.text) == (404, text)


@pytest.mark.parametrize(
    "mounted", [Starlette(routes=MOUNTED), Router(MOUNTED)], ids=["application", "router"]
)
async def test_refusal_of_a_method_by_a_mounted_application_names_its_methods(
    state: AppState, mounted: ASGIApp
) -> None:
    app = build_app(version="1")
    app.mount("/added", mounted)

    response = await get(app, state, "/added/edit")

    assert (response.status_code, response.headers["allow"]) == (405, "PUT")


async def test_websocket_at_an_unknown_path_is_closed(state: AppState) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/nothing", "headers": [], "state": {**state}}
    await build_app(version="1")(scope, receive, send)

    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_application_below_another_one_serves_the_same_paths(state: AppState) -> None:
    above = Starlette()
    above.mount("/below", build_app(version="1"))

    assert (await get(above, state, "/below/livez")).status_code == 200
    assert (await get(above, state, "/livez")).status_code == 404


@pytest.mark.parametrize("path", ["/livez", "/definitions/order_processing/1"])
async def test_added_middleware_learns_which_route_was_taken(state: AppState, path: str) -> None:
    taken: list[Scope] = []

    class NoteRoute:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            taken.append(scope)

    app = build_app(version="1")
    app.add_middleware(NoteRoute)

    await get(app, state, path)

    (scope,) = taken
    assert scope["route"].path_regex.match(path)
    assert {"endpoint", "path_params"} <= scope.keys()


async def test_unexpected_error_of_an_added_route_is_a_problem(state: AppState) -> None:
    async def fail(_: object) -> PlainTextResponse:
        raise ZeroDivisionError

    app = build_app(version="1")
    app.add_route("/added", fail)

    response = await get(app, state, "/added")

    assert (response.status_code, response.json()["code"]) == (500, "internal-error")
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize("path", [route.path for route in ROUTES if not route.path_parameters])
def test_path_without_parameters_has_one_route_a_method(path: str) -> None:
    methods = [route.method for route in ROUTES if route.path == path]
    assert sorted(set(methods)) == sorted(methods)


async def test_allowed_page_can_read_a_failure(state: AppState) -> None:
    async def fail() -> NoReturn:
        raise ZeroDivisionError

    page = "https://desk.example"
    broken = AppState(**{**state, "audit": fail, "allowed_origins": (page,)})

    response = await get(build_app(version="1"), broken, "/audit/verify", Origin=page)

    assert (response.status_code, response.json()["code"]) == (500, "internal-error")
    assert response.headers["access-control-allow-origin"] == page
