"""A request whose headers are indexed once: nearly every question is about one that is not there.

Names of headers are asked for as they are on the wire, in small letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope

NONE: Final[Sequence[str]] = ()


class Request:
    __slots__ = ("_first", "path_params", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self.receive = scope, receive
        self.path_params: dict[str, str] = {}
        self._first: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method

    @property
    def query_params(self) -> QueryParams:
        return QueryParams(self.scope["query_string"])

    def header(self, name: bytes) -> str | None:
        """The first of that name."""
        value = self._first.get(name)
        return None if value is None else value.decode("latin-1")

    def headers(self, name: bytes) -> Sequence[str]:
        """All of that name."""
        if name not in self._first:
            return NONE
        return [value.decode("latin-1") for one, value in self.scope["headers"] if one == name]
