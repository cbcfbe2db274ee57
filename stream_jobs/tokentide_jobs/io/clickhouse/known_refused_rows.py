"""Which rows a batch has given up already, as its dead letters say.

It keeps a replay exact: rows that the store refused once are left out by everybody who writes that
batch again, even when the table could hold them by now.
"""

# ruff: noqa: S608 -- the database name is validated by the settings; every value is a parameter
from __future__ import annotations

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.outcome.outcome import RefusedRow
from tokentide_jobs.core.record.dead_letter import REFUSED_BY_STORE
from tokentide_jobs.core.tables import DEAD_LETTERS
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["known_refused_rows"]


def known_refused_rows(store: ClickHouse, intent: Intent) -> tuple[RefusedRow, ...]:
    """Return the rows of this batch that were given up before, in order of their places."""
    log = intent.log
    rows = store.rows(
        f"SELECT field, _offset, _idx, any(detail) FROM `{store.database}`.`{DEAD_LETTERS}` "
        "WHERE log_id = {log_id:String} AND _topic = {topic:String} "
        "AND _partition = {part:Int32} "
        "AND _offset >= {start:Int64} AND _offset < {end:Int64} AND reason = {reason:String} "
        "GROUP BY field, _offset, _idx ORDER BY _offset, _idx",
        {
            "log_id": log.log_id,
            "topic": log.topic,
            "part": log.partition,
            "start": intent.start,
            "end": intent.end,
            "reason": REFUSED_BY_STORE,
        },
    )
    return tuple(
        RefusedRow(str(table), int(offset), int(idx), str(detail))
        for table, offset, idx, detail in rows
    )
