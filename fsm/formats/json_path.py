"""Places in JSON: as paths (`steps.create_order.output.order_id`), and as RFC 6901 pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, TypeAlias

from .strict_json import Json

Path: TypeAlias = tuple[str | int, ...]


class Absent(Enum):
    """The type of ABSENT, which stands for a missing value, as opposed to null."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


def get_path(path: Path, scope: Json | Absent) -> Json | Absent:
    """Return the value at `path`, which may be null, or ABSENT."""
    value = scope
    for key in path:
        # The parser makes dicts, and `isinstance` of dict is five times faster than of Mapping. All
        # names of members are texts, so a number as a key is simply not found in a dict.
        if isinstance(value, dict):
            value = value.get(key, ABSENT)
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key] if -len(value) <= key < len(value) else ABSENT
        elif isinstance(value, Mapping) and isinstance(key, str):
            value = value.get(key, ABSENT)
        else:
            return ABSENT
    return value


def dotted_path(path: Path) -> str:
    """Return `path` in the notation of JMESPath: `input.step_data[1]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def json_pointer(path: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of `path`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
