"""The logger of the shell. Messages are constants, facts are in `extra`; payloads never."""

from __future__ import annotations

import logging

logger = logging.getLogger("saga_orchestrator")
