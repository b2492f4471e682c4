"""The API document as a page to read: finished HTML, no script, nothing loaded from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

from .openapi import Document
from .wire.problems import INTERNAL_ERROR, PROBLEMS, Problem

STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { background: #8881; padding: .8rem; overflow: auto }
details { border: 1px solid #8884; border-radius: 6px; margin: .5rem 0; padding: .5rem .8rem }
summary { cursor: pointer } b { display: inline-block; min-width: 4rem }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid #8884; padding: .3rem .6rem .3rem 0; vertical-align: top }
:target { background: #fd06 } :root { color-scheme: light dark }
"""


def docs_page(document: Document) -> bytes:
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<meta name=viewport content='width=device-width'><title>{title}</title>",
        f"<style>{STYLE}</style><h1>{title}</h1><p>{escape(info['description'])}",
        " For machines: <a href=openapi.json>openapi.json</a>.</p><h2>Routes</h2>",
        *_routes(document),
        "<h2>Problems</h2>",
        _table(_problem_rows()),
        "<h2>Schemas</h2>",
        *_schemas(document),
    ]
    return "".join(parts).encode()


def _routes(document: Document) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
            yield f"{escape(operation['summary'])}</summary>"
            yield _table(_parameter_rows(operation))
            yield _bodies(operation)
            yield _table(_response_rows(operation))
            yield "</details>"


def _parameter_rows(operation: Document) -> Iterator[list[str]]:
    for parameter in operation["parameters"]:
        text = parameter.get("description") or parameter["schema"].get("type", "")
        yield [_code(parameter["name"]), parameter["in"], escape(str(text))]


def _bodies(operation: Document) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return "".join(
        f"<p>Body: {_code(media_type)} {_link(body)}</p>" for media_type, body in content.items()
    )


def _response_rows(operation: Document) -> Iterator[list[str]]:
    for status, response in operation["responses"].items():
        schemas = " ".join(_link(body) for body in response.get("content", {}).values())
        yield [_code(status), escape(response["description"]), schemas]


def _problem_rows() -> Iterator[list[str]]:
    for problem in sorted({*PROBLEMS.values(), INTERNAL_ERROR}, key=_code_of):
        retry = "the same request may succeed later" if problem.retryable else ""
        code = f"<code id='{problem.code}'>{problem.code}</code>"
        yield [code, str(problem.status.value), problem.title, retry]


def _code_of(problem: Problem) -> str:
    return problem.code


def _schemas(document: Document) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        yield f"<details id='{escape(name)}'><summary>{_code(name)}</summary><pre>{text}</pre>"
        yield "</details>"


def _link(content: Mapping[str, Any]) -> str:
    """Return links to the schemas of a body."""
    schema = content["schema"]
    refs = [each["$ref"] for each in schema.get("anyOf", [schema]) if "$ref" in each]
    names = [escape(ref.rpartition("/")[2]) for ref in refs]
    return " or ".join(f"<a href='#{name}'>{name}</a>" for name in names)


def _table(rows: Iterable[list[str]]) -> str:
    lines = "".join(f"<tr><td>{'<td>'.join(row)}" for row in rows)
    return f"<table>{lines}</table>" if lines else ""


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
