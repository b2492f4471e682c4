"""A request whose headers are indexed once.

Starlette looks through all headers for each one that it is asked for, and nearly every question is
about one that is not there.
"""

from __future__ import annotations

from typing import TypeVar, overload

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

Default = TypeVar("Default")


class IndexedHeaders(Headers):
    def __init__(self, scope: Scope) -> None:
        super().__init__(raw=scope["headers"])
        self._first = dict(reversed(self.raw))

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: Default) -> str | Default: ...
    def get(self, key: str, /, default: Default | None = None) -> str | Default | None:
        value = self._first.get(_raw(key))
        return default if value is None else value.decode("latin-1")

    def getlist(self, key: str) -> list[str]:
        return super().getlist(key) if key in self else []

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and _raw(key) in self._first


class IndexedRequest(Request):
    @property
    def headers(self) -> Headers:
        if not hasattr(self, "_headers"):
            self._headers = IndexedHeaders(self.scope)
        return self._headers


def _raw(name: str) -> bytes:
    return name.lower().encode("latin-1")
