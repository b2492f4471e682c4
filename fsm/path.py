"""Places in JSON: `steps.create_order.output.order_id` as its members and indices in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from .strict_json import Json

Path: TypeAlias = tuple[str | int, ...]


def follow(path: Path, scope: Json) -> Json:
    """What is there; null where nothing is."""
    value = scope
    for key in path:
        if isinstance(key, str):
            # The parser makes dicts, and asking for one is five times faster than for a Mapping.
            value = value.get(key) if isinstance(value, (dict, Mapping)) else None
        else:
            fits = isinstance(value, list) and -len(value) <= key < len(value)
            value = value[key] if fits else None  # type: ignore[index]
    return value


def dotted(path: Path) -> str:
    """As JMESPath writes it: `input.step_data[1]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")
