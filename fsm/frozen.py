"""A frozen value with some members changed.

`dataclasses.replace` builds a value anew through its constructor, which for states of a dozen
members was a sixth of the time that a decision takes. This copies the members as they are: for
frozen dataclasses without slots and without a `__post_init__`.
"""

from __future__ import annotations

from typing import Any, TypeVar

Value = TypeVar("Value")


def changed(value: Value, **members: Any) -> Value:
    """Like `value`, but for `members`, which must be members of it."""
    copy = object.__new__(type(value))
    # One set, of one dictionary made in one go, takes half the time of filling the copy's own.
    object.__setattr__(copy, "__dict__", value.__dict__ | members)
    return copy
