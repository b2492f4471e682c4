"""Which setting gives a participant its URL."""

from __future__ import annotations

import re

BY_VARIABLE = re.compile(r"[a-z][a-z0-9-]*-service")
FILE = "SAGA_PARTICIPANTS_FILE"


def variable_of(participant: str) -> str | None:
    """Return the environment variable, if there is one for such a name."""
    if not BY_VARIABLE.fullmatch(participant):
        return None
    return f"{participant.upper().replace('-', '_')}_URL"


def how_to_address(participant: str) -> str:
    """Return what to set, to be read after a colon."""
    variable = variable_of(participant)
    if variable is not None:
        return f"set {variable}, or its url in the participants file ({FILE})"
    return (
        f"set its url in the participants file ({FILE}); a variable <NAME>_SERVICE_URL gives one"
        " only to a name in small letters that ends in -service"
    )
