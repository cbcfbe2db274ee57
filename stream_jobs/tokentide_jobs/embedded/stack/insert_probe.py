"""Whether ClickHouse does its work: it stores a row in a table of the stack's own.

A server may answer every ping and store nothing. A temporary refusal (no room on the
disk, no memory or turn under a heavy query) is work: a restart would not help.
"""

from __future__ import annotations

from typing import Final

from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["insert_problem"]

_STATEMENTS: Final = (
    "CREATE TABLE IF NOT EXISTS default.tokentide_probe (at DateTime) "
    "ENGINE = MergeTree ORDER BY tuple() "
    "COMMENT 'Rows by which the embedded stack sees that ClickHouse stores; it has no reader'",
    "TRUNCATE TABLE default.tokentide_probe",
    "INSERT INTO default.tokentide_probe SETTINGS async_insert = 0 VALUES (now())",
)
_BUSY: Final = {
    159: "TIMEOUT_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    241: "MEMORY_LIMIT_EXCEEDED",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
}


def insert_problem(store: ClickHouse) -> str:
    """Store one row; why ClickHouse does not store it, or "" when it does or is busy."""
    try:
        for statement in _STATEMENTS:
            store.command(statement)
    except PipelineError as exc:
        return "" if getattr(exc, "code", None) in _BUSY else str(exc)
    return ""
