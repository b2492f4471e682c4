"""The settings that give a participant its URL."""

from __future__ import annotations

import re

NAME_WITH_VARIABLE = re.compile(r"[a-z][a-z0-9-]*-service")
PARTICIPANTS_FILE_VARIABLE = "SAGA_PARTICIPANTS_FILE"


def url_variable(participant: str) -> str | None:
    """Return the environment variable with the URL, or None if the name has none."""
    if not NAME_WITH_VARIABLE.fullmatch(participant):
        return None
    return f"{participant.upper().replace('-', '_')}_URL"


def how_to_set_url(participant: str) -> str:
    """Say which setting to set, to be read after a colon."""
    variable = url_variable(participant)
    if variable is not None:
        return f"set {variable}, or its url in the participants file ({PARTICIPANTS_FILE_VARIABLE})"
    return (
        f"set its url in the participants file ({PARTICIPANTS_FILE_VARIABLE}); an environment"
        " variable <NAME>_SERVICE_URL exists only for a lower-case name that ends in -service"
    )
