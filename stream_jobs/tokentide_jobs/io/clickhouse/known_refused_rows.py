"""Which rows a batch has given up already, as its dead letters say.

It keeps a replay exact: rows that the store refused once are left out by every writer of that
batch again, even when the table could hold them by now.
"""

from __future__ import annotations

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.outcome.outcome import RefusedRow
from tokentide_jobs.core.record.dead_letter import REFUSED_BY_STORE
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["known_refused_rows"]


def known_refused_rows(store: ClickHouse, intent: Intent) -> tuple[RefusedRow, ...]:
    """Return the rows of this batch that were given up before, in order of their places."""
    found = store.select(
        "dead_letters/refused_rows",
        {
            "log_id": intent.log.log_id,
            "topic": intent.log.topic,
            "partition": intent.log.partition,
            "start_offset": intent.start,
            "end_offset": intent.end,
            "reason": REFUSED_BY_STORE,
        },
    )
    return tuple(
        RefusedRow(row["raw_table"], row["offset"], row["idx"], row["why"]) for row in found
    )
