"""What is agreed with a participant, beside where it lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from ..outcome import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """None stands for what the service does with everybody.

    `headers` go with every call, and their values are secrets: they are shown nowhere.
    """

    profile: Profile = Profile.HTTP
    calls_at_a_time: int | None = None
    connect_timeout: timedelta | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


USUAL = Terms()
