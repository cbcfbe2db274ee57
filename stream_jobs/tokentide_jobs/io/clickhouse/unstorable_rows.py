"""Finds the rows of an insert that a table cannot hold, without writing any of them.

Halves are inserted into a twin of the table that keeps nothing (engine Null, same columns and
defaults), so that looking for the culprit leaves no trace and uses no token.
"""

from __future__ import annotations

import pyarrow as pa

from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused

__all__ = ["find_refused"]


def find_refused(store: ClickHouse, table: str, rows: pa.Table) -> list[int]:
    """Return the positions of the rows that `table` refuses, ascending.

    Raises:
        RetriableSinkError: The store failed for now; ask again.
        SinkMisconfigured: The twin cannot be created or written.
    """
    twin = f"{table}_probe"
    store.command(
        f"CREATE TABLE IF NOT EXISTS `{store.database}`.`{twin}` "
        f"AS `{store.database}`.`{table}` ENGINE = Null"
    )

    def refused_between(start: int, end: int) -> list[int]:
        try:
            store.insert(twin, rows.slice(start, end - start), f"probe/{table}")
            return []
        except RowsRefused:
            if end - start == 1:
                return [start]
        middle = (start + end) // 2
        return refused_between(start, middle) + refused_between(middle, end)

    return refused_between(0, rows.num_rows) if rows.num_rows else []
