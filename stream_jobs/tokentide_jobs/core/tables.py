"""The tables of ClickHouse as the program knows them: names, window lengths, retention.

Migrations define them; a test reads the migrated database and holds this module against it. No
other module states a table's name, the length of a window or how long rows are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = [
    "ALERT_ACTIONS",
    "ALERT_EVENTS",
    "ANOMALY_POINTS",
    "BUDGET_STATUS",
    "DATABASE_NAME",
    "DATABASE_RULE",
    "DAY_S",
    "DAY_US",
    "DEAD_LETTERS",
    "DEAD_LETTER_REPLAYS",
    "DELTA_TABLES",
    "DETECTOR_STATE",
    "END_OF_TIME_US",
    "EVENT_VOIDS",
    "FORECASTS",
    "HOLDS",
    "HOUR_S",
    "HOUR_US",
    "IDENTIFIER",
    "INTENTS",
    "KEPT_DAYS",
    "LEDGER_KEPT_DAYS",
    "MINUTE_S",
    "MINUTE_US",
    "NOTIFICATIONS",
    "NOTIFIED_SINCE",
    "PLACE_COLUMNS",
    "POSITIONS",
    "PRICE_CARDS",
    "PRICE_CORRECTIONS",
    "PRICE_VERSIONS",
    "RAW_REQUESTS",
    "RAW_TABLES",
    "REPRICE_CHUNKS",
    "REPRICE_RUNS",
    "ROLLUPS",
    "ROWS_KEPT_DAYS",
    "RUN_STATUS",
    "SCHEMA_MIGRATIONS",
    "SILENCES",
    "SLO_STATUS",
    "SUBJECTS",
    "SUBJECTS_S",
    "TENANT_RETENTION",
    "TENANT_TABLES",
    "TYPE_OF_TABLE",
    "VOIDED_ROWS",
    "WINDOWS",
    "WINDOWS_KEPT_DAYS",
    "WINDOW_LENGTH_S",
    "WINDOW_REPAIRS",
    "WINDOW_S",
    "WINDOW_US",
]

IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of databases and tables that need no quotes anywhere: match it with `fullmatch`."""

DATABASE_NAME: Final = re.compile(r"(?!(?i:system|information_schema)\Z)[A-Za-z_]\w{2,63}", re.A)
"""Names that the database may have: match it with `fullmatch`.

A table of one or two letters in a query would hide a database of that name, the names of files are
made of it, and two names are ClickHouse's own.
"""
DATABASE_RULE: Final = (
    "use 3 to 64 letters, digits and _, not starting with a digit; `system` and "
    "`information_schema` are ClickHouse's own"
)

RAW_TABLES: Final[Mapping[str, str]] = {
    "request": "raw_requests",
    "evaluation": "raw_evaluations",
    "feedback": "raw_feedback",
    "change": "raw_changes",
    "stats": "raw_stats",
}
"""The table of every event type."""
TYPE_OF_TABLE: Final[Mapping[str, str]] = {table: name for name, table in RAW_TABLES.items()}
RAW_REQUESTS: Final = RAW_TABLES["request"]

WINDOWS: Final = "windows_10s"
"""The windows that ingest writes; every other grain is a rollup of the one before it."""
ROLLUPS: Final = ("windows_1m", "windows_1h", "windows_1d")
WINDOW_LENGTH_S: Final[Mapping[str, int]] = {
    WINDOWS: 10,
    "windows_1m": 60,
    "windows_1h": 3_600,
    "windows_1d": 86_400,
}
WINDOW_S: Final = WINDOW_LENGTH_S[WINDOWS]
"""Length of a tumbling window: [start, start + 10 s) by the start of the event."""
WINDOW_US: Final = WINDOW_S * 1_000_000
SUBJECTS: Final = "subjects_1h"
"""Sums of requests by subject, which ingest writes beside the windows."""
SUBJECTS_S: Final = 3_600
"""Length of the time that a row of SUBJECTS sums."""
DELTA_TABLES: Final = (WINDOWS, SUBJECTS)
"""Tables of sums: their rows carry no offsets, and a batch adds all of them or none."""
MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S
DAY_S: Final = 24 * HOUR_S
MINUTE_US: Final = MINUTE_S * 1_000_000
HOUR_US: Final = HOUR_S * 1_000_000
DAY_US: Final = DAY_S * 1_000_000
END_OF_TIME_US: Final = 1 << 52
"""The year 2112: later than any event."""

PLACE_COLUMNS: Final = ("log_id", "_topic", "_partition", "_offset", "_idx")
"""The identity of a row: the place of its event in the log."""

INTENTS: Final = "ingest_intents"
POSITIONS: Final = "ingest_positions"
DEAD_LETTERS: Final = "dead_letters"
DEAD_LETTER_REPLAYS: Final = "dead_letter_replays"
PRICE_CARDS: Final = "price_cards"
PRICE_VERSIONS: Final = "price_versions"
PRICE_CORRECTIONS: Final = "price_corrections"
HOLDS: Final = "ingest_holds"
WINDOW_REPAIRS: Final = "window_repairs"
EVENT_VOIDS: Final = "event_voids"
VOIDED_ROWS: Final = "voided_rows"
REPRICE_RUNS: Final = "reprice_runs"
REPRICE_CHUNKS: Final = "reprice_chunks"
ANOMALY_POINTS: Final = "anomaly_points"
RUN_STATUS: Final = "run_status"
BUDGET_STATUS: Final = "budget_status"
FORECASTS: Final = "forecasts"
DETECTOR_STATE: Final = "detector_state"
TENANT_RETENTION: Final = "tenant_retention"
SCHEMA_MIGRATIONS: Final = "schema_migrations"
SCHEMA_DEFINITIONS: Final = "schema_definitions"
ALERT_EVENTS: Final = "alert_events"
ALERT_ACTIONS: Final = "alert_actions"
NOTIFICATIONS: Final = "notifications"
NOTIFIED_SINCE: Final = "notified_since"
SILENCES: Final = "silences"
SLO_STATUS: Final = "slo_status"

KEPT_DAYS: Final[Mapping[str, int]] = {
    "raw_requests": 90,
    "raw_evaluations": 400,
    "raw_feedback": 400,
    "raw_changes": 1_100,
    "raw_stats": 30,
    WINDOWS: 14,
    "windows_1m": 90,
    "windows_1h": 730,
    "windows_1d": 3_650,
    "users_1d": 730,
    SUBJECTS: 90,
    INTENTS: 400,
    POSITIONS: 400,
    DEAD_LETTERS: 30,
    DEAD_LETTER_REPLAYS: 30,
    PRICE_CORRECTIONS: 90,
    HOLDS: 30,
    ALERT_EVENTS: 400,
    ALERT_ACTIONS: 400,
    NOTIFICATIONS: 90,
    SLO_STATUS: 400,
    ANOMALY_POINTS: 90,
    RUN_STATUS: 90,
    BUDGET_STATUS: 730,
    FORECASTS: 730,
}
"""Days after which a table drops a row; a table that is not here keeps its rows for ever."""

TENANT_TABLES: Final = ("raw_requests", "raw_evaluations", "raw_feedback")
"""Tables whose retention a tenant may change: those that hold its single events."""

ROWS_KEPT_DAYS: Final = min(KEPT_DAYS[table] for table in (*RAW_TABLES.values(), DEAD_LETTERS))
"""As long as this, every event of a batch is still in some table."""
WINDOWS_KEPT_DAYS: Final = KEPT_DAYS[WINDOWS]
LEDGER_KEPT_DAYS: Final = min(KEPT_DAYS[INTENTS], KEPT_DAYS[POSITIONS])
