"""The store behind Pipeline health: how large its tables are, and what queries take of it."""

from __future__ import annotations

from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.unit import Unit

__all__ = ["PARTS", "QUERIES", "QUERY_CPU"]

PARTS = Table(
    title="Tables",
    description=(
        "Size and active parts of each table, now. Hundreds of parts in one partition mean that "
        "merges do not keep up: larger and fewer batches help."
    ),
    unit=Unit.COUNT,
    no_value=(
        "No table holds a row yet: start a worker, `tokentide worker ingest`, and send events."
    ),
    sql="""\
SELECT
    table AS of_table, sum(one.rows) AS stored_rows, sum(one.bytes_on_disk) AS disk_bytes,
    sum(one.parts) AS active_parts, max(one.parts) AS most_in_one_partition
FROM (
    SELECT table, partition, sum(rows) AS rows, sum(bytes_on_disk) AS bytes_on_disk,
        count() AS parts
    FROM system.parts
    WHERE active AND database = currentDatabase()
    GROUP BY table, partition
) AS one
GROUP BY of_table
ORDER BY disk_bytes DESC LIMIT 50""",
    overrides=(
        Override(column="of_table", title="Table"),
        Override(column="stored_rows", title="Rows"),
        Override(column="disk_bytes", title="On disk", unit=Unit.BYTES),
        Override(column="active_parts", title="Parts"),
        Override(
            column="most_in_one_partition",
            title="Most in one partition",
            threshold=Threshold(((150, "yellow"), (300, "red"))),
            cell="color-text",
        ),
    ),
)

ENDED = (
    "event_date >= toDate($__fromTime) AND event_date <= toDate($__toTime)"
    " AND $__timeFilter(event_time)"
)
"""Queries that ended in the range; event_date lets whole partitions be passed over."""
NO_QUERIES = (
    "ClickHouse's log holds no query of this range: choose one that ends now. It keeps three days "
    "in the embedded ClickHouse, and may be switched off on a server (query_log)."
)
QUERIES = Table(
    title="What queries cost, by account",
    description=(
        "Queries that ended in the range and what they took. Boards ask as the account of the data "
        "source, `grafana` unless you gave it another; workers as that of TOKENTIDE_CLICKHOUSE_URL."
    ),
    unit=Unit.COUNT,
    no_value=NO_QUERIES,
    sql=f"""\
SELECT
    if(account = '', 'ClickHouse itself', account) AS who, count() AS queries,
    countIf(is_failed) AS failed, sum(cpu_us) / 1e6 AS cpu_s,
    quantileExact(0.95)(duration_ms) AS p95_ms, sum(read_rows) AS rows_read,
    sum(read_bytes) AS bytes_read, max(memory_bytes) AS most_memory_bytes
FROM query_costs WHERE {ENDED}
GROUP BY who ORDER BY cpu_s DESC LIMIT 50""",
    overrides=(
        Override(column="who", title="Account"),
        Override(column="queries", title="Queries"),
        Override(column="failed", title="Failed"),
        Override(column="cpu_s", title="CPU", unit=Unit.SECONDS),
        Override(column="p95_ms", title="Duration p95", unit=Unit.MILLISECONDS),
        Override(column="rows_read", title="Rows read"),
        Override(column="bytes_read", title="Bytes read", unit=Unit.BYTES),
        Override(column="most_memory_bytes", title="Most memory at once", unit=Unit.BYTES),
    ),
)
QUERY_CPU = Lines(
    title="CPU of queries by account",
    description="Cores that queries kept busy, by the moment at which each ended.",
    unit=Unit.NONE,
    no_value=NO_QUERIES,
    by=("who",),
    is_stacked=True,
    sql=f"""\
SELECT
    toStartOfInterval(event_time, toIntervalSecond($__interval_s)) AS time,
    if(account = '', 'ClickHouse itself', account) AS who,
    sum(cpu_us) / 1e6 / $__interval_s AS cores
FROM query_costs WHERE {ENDED}
GROUP BY time, who ORDER BY time""",
)
