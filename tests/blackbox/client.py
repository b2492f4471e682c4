"""Requests to the orchestrator, with variables that later requests refer to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

import httpx
from saga_orchestrator.tests.blackbox.expectations import differences
from saga_orchestrator.tests.blackbox.installation import Installation
from saga_orchestrator.tests.blackbox.json_values import Json, parse_json

MAX_SHOWN = 300  # characters of a reply in a message
HEALTH_PATHS = ("/health", "/livez", "/readyz")  # their 503 is no problem document
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "retryable"}


class ExpectationFailed(Exception):
    """The orchestrator does not do what the scenario expects; the arguments are lines of text."""


def require_none(
    problems: Iterable[str], kind: type[ExpectationFailed] = ExpectationFailed
) -> None:
    """Raise `kind` if there is any problem."""
    if lines := list(problems):
        raise kind(*lines)


class Client:
    """`variables` are the values of `{saga}`, `{etag}`, `{next}` and so on."""

    def __init__(self, installation: Installation, variables: Mapping[str, str]) -> None:
        self.installation, self.variables = installation, dict(variables)

    async def send(
        self,
        line: str,
        *,
        node: str = "n1",
        body: Json = None,
        raw: str | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> httpx.Response | None:
        """Send `METHOD /path`. Return None if the connection ended before there was a reply."""
        method, path = self.substitute(line).split(" ", 1)
        default_headers = {"Content-Type": "application/json"} if raw is not None else {}
        given = {**default_headers, **self.substitute(headers or {})}
        client = self.installation.nodes[node].client
        request = client.build_request(
            method,
            path,
            json=self.substitute(body) if body is not None else None,
            content=self.substitute(raw),
            headers={name: value for name, value in given.items() if value is not None},
        )
        try:
            reply = await client.send(request)
        except httpx.TransportError:
            return None
        self.variables["etag"] = reply.headers.get("etag", "")
        self.variables["next"] = reply.links.get("next", {}).get("url", "")
        return reply

    async def status_of(self, saga_id: str) -> Json:
        """Return the status view of a saga."""
        return json_object(await self.get(f"/sagas/{saga_id}/status"))

    async def events_of(self, saga_id: str) -> list[Json]:
        """Return all events of a saga, page by page."""
        events, path = [], f"/sagas/{saga_id}/events"
        while path:
            reply = await self.get(path)
            events += json_object(reply)["events"]
            path = reply.links.get("next", {}).get("url", "")
        return events

    async def get(self, path: str) -> httpx.Response:
        """Get `path` from the first node that answers. Raises ExpectationFailed if it is no 200."""
        for name, node in self.installation.nodes.items():
            reply = await self.send(f"GET {path}", node=name) if node.is_alive else None
            if reply is not None:
                if reply.status_code != httpx.codes.OK:
                    shown = f"{reply.status_code} {reply.text[:MAX_SHOWN]}"
                    raise ExpectationFailed(f"GET {path}: {shown}")
                return reply
        raise ExpectationFailed(f"GET {path}: no node answers")

    def compare(self, line: str, reply: httpx.Response | None, expect: Mapping[str, Json]) -> None:
        """Raise ExpectationFailed unless the reply is as expected; without `http`, any 2xx is.

        Errors must be complete problem documents.
        """
        line = self.substitute(line)
        if reply is None:
            require_none([f"{line}: no reply"] if expect else [])
            return
        actual = {
            "http": reply.status_code,
            "headers": dict(reply.headers),
            "reply": json_object(reply),
            "text": reply.text,
        }
        problems = differences(self.substitute({"http": {"at_most": 299}, **expect}), actual, line)
        if problems:
            problems.append(f"the reply was {reply.status_code} {reply.text[:MAX_SHOWN]}")
        require_none(problems)
        if reply.status_code >= 400 and reply.request.url.path not in HEALTH_PATHS:
            require_none(_defects_of_problem(reply))

    def substitute(self, value: Json) -> Json:
        """Replace `{name}` in strings by its variable, also within lists and mappings."""
        match value:
            case str():
                known = self.variables
                return re.sub(r"(?<!\$)\{(\w+)\}", lambda name: known.get(name[1], name[0]), value)
            case Mapping():
                return {
                    self.substitute(name): self.substitute(member) for name, member in value.items()
                }
            case list():
                return [self.substitute(item) for item in value]
            case _:
                return value


def _defects_of_problem(reply: httpx.Response) -> list[str]:
    """Return what is wrong with a problem document (RFC 9457, and the members of the contract)."""
    is_typed = reply.headers.get("content-type", "").startswith("application/problem+json")
    missing = PROBLEM_MEMBERS - json_object(reply).keys()
    where = f"{reply.request.method} {reply.request.url.path}: {reply.status_code}"
    return [
        *([] if is_typed else [f"{where} is not application/problem+json"]),
        *([f"{where} lacks {sorted(missing)}"] if missing else []),
    ]


def json_object(reply: httpx.Response | None) -> Json:
    """Return the JSON object in the reply, or an empty one."""
    with suppress(ValueError):
        value = parse_json(reply.content) if reply is not None else {}
        return value if isinstance(value, dict) else {}
    return {}


def member_at(value: Json, path: str) -> Json:
    """Return the member at a path such as `sagas.0.saga_id`."""
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value
