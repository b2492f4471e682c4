"""The logger of the service: one JSON object per line. Messages are constants; facts in `extra`.

Payloads are never logged: they belong to users and may hold personal data or secrets.
"""

from __future__ import annotations

import json
import logging
import sys
import time

logger = logging.getLogger("saga_orchestrator")

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {name: fact for name, fact in vars(record).items() if name not in STANDARD}
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Log to standard error, in UTC, from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonLines()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger("transitions").setLevel(logging.WARNING)  # it logs every trigger
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
