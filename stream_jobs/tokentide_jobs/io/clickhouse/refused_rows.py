"""Finds the rows of an insert that a table cannot hold, without writing any of them.

Halves are inserted into a probe table that keeps nothing (engine Null, the same columns and
defaults), so that looking for the culprit leaves no trace and uses no token.
"""

from __future__ import annotations

import pyarrow as pa

from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused

__all__ = ["find_refused_rows"]


def find_refused_rows(store: ClickHouse, table: str, rows: pa.Table) -> list[int]:
    """Return the positions of the rows that `table` refuses, ascending.

    Raises:
        RetriableSinkError: The store failed for now; ask again.
        SinkMisconfigured: The probe table cannot be created or written.
    """
    probe_table = f"{table}_probe"
    store.command(
        f"CREATE TABLE IF NOT EXISTS `{store.database}`.`{probe_table}` "
        f"AS `{store.database}`.`{table}` ENGINE = Null"
    )

    def refused_between(start: int, end: int) -> list[int]:
        try:
            store.insert(probe_table, rows.slice(start, end - start), f"probe/{table}")
            return []
        except RowsRefused:
            if end - start == 1:
                return [start]
        middle = (start + end) // 2
        return refused_between(start, middle) + refused_between(middle, end)

    return refused_between(0, rows.num_rows) if rows.num_rows else []
