"""No replica that lags answers a read of the ledger for a decision, where that can be detected."""

from __future__ import annotations

import re

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_queries import load_query

CONSISTENT = "select_sequential_consistency = 1"
DECIDING = ("repair", "reprice", "verify", "void")
LEDGER = re.compile(r"\.(ingest_positions|ingest_intents|event_voids|voided_\w+|window_repairs)\b")
SHOWN_ONLY = {"void/of_event"}
"""Read by accounts that may change no setting."""


class Asked(ClickHouse):
    """Notes what it is asked, and knows no row."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "tokentide")
        self.queries: list[str] = []

    def rows(self, query: str, parameters: object = None) -> list[list[int]]:
        self.queries.append(query)
        return [[0]] if "max(end_offset) FROM" in query and "GROUP" not in query else []


def test_every_query_of_a_task_that_decides_by_the_ledger() -> None:
    names = [
        f"{folder}/{path.stem}"
        for folder in DECIDING
        for path in sorted((sql_root() / "queries" / folder).glob("*.sql"))
    ]
    reading = [name for name in names if LEDGER.search(load_query(name).text)]
    assert len(reading) > 15
    lax = {name for name in reading if CONSISTENT not in load_query(name).text}
    assert lax == SHOWN_ONLY


def test_every_read_of_the_ledgers_positions_and_intents() -> None:
    asked, log = Asked(), LogPartition("log", "events", 0)
    ledger = LedgerStore(asked)
    ledger.position(log)
    ledger.positions("log", "events")
    ledger.done_end(Intent(log, 0, 5, "v", 0, 9, 1, "w", (), 9))
    assert len(asked.queries) == 4
    assert [query for query in asked.queries if not query.endswith(CONSISTENT)] == []
