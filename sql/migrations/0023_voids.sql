-- Events that people took out (`tokentide void`): what was decided, and which raw rows went for it.

-- Grain: one event in one decision. Key: revision, event_id.
-- Written by: `tokentide void` before it changes any row; of two that decide at once the first has the revision
-- (token `void/<revision>`). The newest decision about an event holds.
-- Retention: for ever, since a log may be read again at any time.
CREATE TABLE IF NOT EXISTS ${database}.event_voids ${on_cluster}
(
    revision   UInt32 COMMENT '1, 2, … of the decisions; one may concern several events',
    event_id   UUID,
    tenant     LowCardinality(String) COMMENT 'Of the event',
    is_void    Bool COMMENT 'true: it is taken out; false: it is let in again',
    reason     String COMMENT 'Why, in the words of who decided',
    decided_by String COMMENT 'Account of the operating system, and host',
    account    String DEFAULT currentUser() COMMENT 'Account of ClickHouse',
    run_id     String COMMENT 'One invocation of the command',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Clock of the server'
)
ENGINE = ${engine:MergeTree}
ORDER BY (revision, event_id)
SETTINGS ${dedup}
COMMENT 'Who took which event out, when and why, or let it in again. Written by tokentide void. Kept for ever.';

-- Grain: one raw row that was taken out by one decision. Key: revision, log_id, _topic, _partition, _offset, _idx.
-- Written by: `tokentide void` before the row goes (token `voided_rows/<table>/<revision>/<digest of the places>`).
-- The row answers for its place in the log: verify and repair count it as one of its batch.
-- Retention: for ever, as the decisions.
CREATE TABLE IF NOT EXISTS ${database}.voided_rows ${on_cluster}
(
    revision      UInt32 COMMENT 'The decision: event_voids',
    event_id      UUID,
    raw_table     LowCardinality(String) COMMENT 'Where the row was',
    started_at    DateTime64(6, 'UTC'),
    tenant        LowCardinality(String),
    service       LowCardinality(String),
    environment   LowCardinality(String),
    provider      LowCardinality(String) COMMENT 'This and the rest up to price_version: of requests only',
    model         LowCardinality(String) COMMENT 'Response model, or request model where none was reported',
    input_tokens  Nullable(UInt64),
    output_tokens Nullable(UInt64),
    cost_pico_usd Nullable(Int64) COMMENT 'As it was in the row when it went',
    price_version LowCardinality(String),
    log_id        LowCardinality(String),
    _topic        LowCardinality(String),
    _partition    Int32,
    _offset       Int64,
    _idx          Int32,
    written_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Clock of the server'
)
ENGINE = ${engine:MergeTree}
ORDER BY (revision, log_id, _topic, _partition, _offset, _idx)
SETTINGS ${dedup}
COMMENT 'Raw rows that were taken out: their place in the log, and the amounts that went with them. Kept for ever.';

-- What was out when a batch was sealed is part of what decides its rows.
ALTER TABLE ${database}.ingest_intents ${on_cluster}
    ADD COLUMN IF NOT EXISTS void_revision UInt32 COMMENT 'Newest decision of event_voids that the batch knows' AFTER max_subjects;
