-- Repair: window sums corrected from raw rows, each correction written down; and the word by which it
-- asks ingest to rest for some seconds, so that it sees whole batches only.

-- Grain: one request to rest, or its end. Key: written_at; the last row counts.
-- Written by: `tokentide repair`, which renews it while it looks and takes it back afterwards.
-- Read by: ingest workers, every second; a rest that nobody renews or ends is over at held_until.
-- Retention: 30 days.
CREATE TABLE IF NOT EXISTS ${database}.ingest_holds ${on_cluster}
(
    held_until DateTime64(3, 'UTC') COMMENT 'No batch is begun before; 1970 ends the rest',
    held_by    LowCardinality(String) COMMENT 'host:pid',
    reason     LowCardinality(String),
    written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'Clock of the server'
)
ENGINE = ${engine:MergeTree}
ORDER BY written_at
TTL toDate(written_at) + INTERVAL 30 DAY
SETTINGS ${dedup}
COMMENT 'Short rests of ingest that a repair asks for. Kept 30 days.';

-- Grain: one correction of one table over one span of time. Key: run_id, table, from_us.
-- Written by: `tokentide repair` after the correction (token `repair/<run_id>/<table>/<from_us>`).
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.window_repairs ${on_cluster}
(
    run_id        String COMMENT 'One invocation of the command',
    table         LowCardinality(String) COMMENT 'What was corrected; coarser tables follow by their views',
    from_us       Int64 COMMENT 'Windows that start at or after (epoch µs)',
    to_us         Int64 COMMENT 'Exclusive',
    rows          UInt64 COMMENT 'Sums by window and series that were wrong',
    events        Int64 COMMENT 'Added; negative: taken away',
    cost_pico_usd Int128 COMMENT 'Added; negative: taken away',
    worker        LowCardinality(String) COMMENT 'host:pid',
    written_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY (run_id, table, from_us)
SETTINGS ${dedup}
COMMENT 'What tokentide repair corrected. Kept for ever.';
