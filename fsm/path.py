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
        # The parser makes dicts, and asking for one is five times faster than for a Mapping. No
        # member of theirs is called by a number, so what the key is need not be asked there.
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key] if -len(value) <= key < len(value) else None
        elif isinstance(value, Mapping) and isinstance(key, str):
            value = value.get(key)
        else:
            return None
    return value


def dotted(path: Path) -> str:
    """As JMESPath writes it: `input.step_data[1]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")
