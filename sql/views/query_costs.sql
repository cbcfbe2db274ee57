-- Grain: one query that has ended, without its text. Reads: system.query_log, which keeps three days in
-- the embedded ClickHouse and thirty on a server by default; of a cluster, the log of
-- the node that is asked.
-- Who may read this view may not read the log, where statements stand: the view reads it with the
-- rights of its creator. Its columns are named, since the log may not be there yet.
--   account        who asked. In the embedded ClickHouse all accounts are one user to the engine, and
--                  the endpoint writes who asked behind the marker of the query; empty: no account
--   cpu_us         of all its threads
--   memory_bytes   most that it held at once

CREATE OR REPLACE VIEW ${database}.query_costs ${on_cluster}
(
    `event_date` Date,
    `event_time` DateTime,
    `account` String,
    `kind` String,
    `is_failed` Bool,
    `duration_ms` UInt64,
    `cpu_us` UInt64,
    `read_rows` UInt64,
    `read_bytes` UInt64,
    `memory_bytes` UInt64
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    event_date,
    event_time,
    if(
        interface = 'Local',
        decodeURLComponent(extract(Settings['promql_table'], '#\\d+#([^#]*)$')),
        toString(user)
    ) AS account,
    toString(query_kind) AS kind,
    type != 'QueryFinish' AS is_failed,
    query_duration_ms AS duration_ms,
    ProfileEvents['OSCPUVirtualTimeMicroseconds'] AS cpu_us,
    read_rows,
    read_bytes,
    memory_usage AS memory_bytes
FROM system.query_log
WHERE type != 'QueryStart' AND is_initial_query AND query_kind NOT IN ('Set', 'Use')
COMMENT 'One finished query and what it took, by account, without its text. From system.query_log.';

ALTER TABLE ${database}.query_costs ${on_cluster}
    COMMENT COLUMN event_date 'Day on which the query ended, in the zone of the server',
    COMMENT COLUMN event_time 'When the query ended, in the zone of the server',
    COMMENT COLUMN account 'Who asked; empty: no account',
    COMMENT COLUMN kind 'Select, Insert, …',
    COMMENT COLUMN is_failed 'Whether it ended in an error',
    COMMENT COLUMN duration_ms 'From beginning to end, ms',
    COMMENT COLUMN cpu_us 'CPU time of all its threads, µs',
    COMMENT COLUMN read_rows 'Rows read from tables',
    COMMENT COLUMN read_bytes 'Bytes read from tables, uncompressed',
    COMMENT COLUMN memory_bytes 'Most bytes that it held at once';
