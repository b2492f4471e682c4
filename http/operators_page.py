"""The operators' page: one document with its style and its script inside, nothing else needed.

Its parts lie in `page/` as they are written. The policy that goes with it names the digests of
style and script, so that a browser runs these and nothing that data could bring in.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "page"
SCRIPTS: Final = ("elements.js", "saga.js", "overview.js")


@dataclass(frozen=True, slots=True)
class Page:
    content: bytes
    headers: Mapping[str, str]


@cache
def assemble_page() -> Page:
    style = _read("page.css")
    script = "".join(_read(name) for name in SCRIPTS)
    content = _read("page.html").replace("{style}", style).replace("{script}", script)
    headers = {
        "Content-Security-Policy": _policy(style, script),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Page(content.encode(), headers)


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
