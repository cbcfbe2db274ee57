"""Structured logs: one JSON object a line, a stable event name, fields; never a payload.

The message of a log call is the event's name; everything variable is a field, so that logs can be
searched and counted without patterns.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from tokentide_jobs.urls import redact_text

__all__ = ["log_event", "setup_logging"]

_FIELDS = "tokentide_fields"


def log_event(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log `event` with its fields, such as topic, partition, start, end and rows."""
    logger.log(level, event, extra={_FIELDS: fields})


def setup_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream` (default: standard error) as JSON lines.

    Libraries are logged from WARNING on; this package from `level` on.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tokentide_jobs").setLevel(level.upper())
    # Faust's services log their starting and stopping under the name of our module.
    logging.getLogger("tokentide_jobs.jobs.runtime.faust_app").setLevel(logging.WARNING)
    # It reports every leaving and joining as errors and warnings; our own events say it once.
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.CRITICAL)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if not record.name.startswith("tokentide_jobs"):
            entry["logger"] = record.name
        entry.update(getattr(record, _FIELDS, {}))
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return redact_text(json.dumps(entry, default=str))
