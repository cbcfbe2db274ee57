-- The ledger: what the ingest job decided, what it finished, and what it refused.
-- (records, intent) -> rows is a pure function; these tables hold the intents and prove the rows.
-- Every offset range is half-open: [start_offset, end_offset).

-- Grain: one sealed batch. Key: log_id, topic, partition, start_offset.
-- Written by: the ingest job before anything else of the batch, first writer wins (token
-- `intent/<log_id>/<topic>/<partition>/<start>`); a later worker adopts the row it reads back.
-- Retention: 400 days.
CREATE TABLE IF NOT EXISTS ${database}.ingest_intents ${on_cluster}
(
    log_id            LowCardinality(String) COMMENT 'One incarnation of one log; offsets mean nothing beyond it',
    topic             LowCardinality(String),
    partition         Int32,
    start_offset      Int64 CODEC(Delta, ZSTD(1)),
    end_offset        Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Exclusive',
    records           UInt64 COMMENT 'Kafka records in the range; fewer than end - start where the log has gaps',
    price_version     LowCardinality(String) COMMENT 'Cards that price every request of the batch',
    accepted_from_us  Int64 COMMENT 'Events that started before are dead-lettered (epoch µs)',
    accepted_until_us Int64 COMMENT 'Events that started at or after are dead-lettered (epoch µs)',
    sealed_at_us      Int64 COMMENT 'When the batch was sealed (epoch µs); ingested_at of its rows',
    worker            LowCardinality(String) COMMENT 'host:pid that sealed it',
    sealed_at         DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Micro(sealed_at_us, 'UTC'),
    written_at        DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Clock of the server'
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMM(written_at)
ORDER BY (log_id, topic, partition, start_offset)
TTL toDate(written_at) + INTERVAL 400 DAY
SETTINGS ${dedup}
COMMENT 'Sealed batches before their rows are written: range, price version, accepted window. First writer wins. Kept 400 days.';

-- Grain: one finished batch. Key: log_id, topic, partition, start_offset.
-- Written by: the ingest job after every row of the batch is in (token
-- `ingest_positions/<log_id>/<topic>/<partition>/<start>-<end>`).
-- The position of a partition is max(end_offset); verify compares the counts with the raw tables.
-- Retention: 400 days.
CREATE TABLE IF NOT EXISTS ${database}.ingest_positions ${on_cluster}
(
    log_id              LowCardinality(String),
    topic               LowCardinality(String),
    partition           Int32,
    start_offset        Int64 CODEC(Delta, ZSTD(1)),
    end_offset          Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Exclusive',
    records             UInt64 COMMENT 'Kafka records in the range',
    bytes               UInt64 COMMENT 'Bytes of their values',
    events              UInt64 COMMENT 'Accepted events of all types: rows in the raw tables',
    requests            UInt64,
    evaluations         UInt64,
    feedback            UInt64,
    changes             UInt64,
    stats               UInt64,
    dead_letters        UInt64 COMMENT 'Refused events: rows in dead_letters; events + dead_letters is all there was',
    window_deltas       UInt64 COMMENT 'Rows inserted into windows_10s',
    cost_pico_usd       Int128 COMMENT 'Sum over the priced requests of the batch',
    price_version       LowCardinality(String),
    adopted             Bool COMMENT 'The intent was another worker''s, or of an earlier run of this one: a replay',
    worker              LowCardinality(String) COMMENT 'host:pid that finished it',
    sealed_at_us        Int64,
    first_record_ms     Int64 COMMENT 'Smallest Kafka timestamp of the range (epoch ms)',
    last_record_ms      Int64 COMMENT 'Largest Kafka timestamp of the range (epoch ms)',
    first_started_at_us Int64 COMMENT 'Smallest started_at of the accepted events (epoch µs), 0 if there are none',
    last_started_at_us  Int64 COMMENT 'Largest started_at of the accepted events (epoch µs), 0 if there are none',
    compute_ms          Float64 COMMENT 'Decode, price and fold',
    insert_ms           Float64 COMMENT 'All inserts of the batch, retries included',
    retries             UInt32 COMMENT 'Inserts that had to be repeated',
    done_at_us          Int64 COMMENT 'When the last row was in (epoch µs, clock of the worker)',
    done_at             DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Micro(done_at_us, 'UTC'),
    sealed_at           DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Micro(sealed_at_us, 'UTC'),
    written_at          DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Clock of the server'
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMM(written_at)
ORDER BY (log_id, topic, partition, start_offset)
TTL toDate(written_at) + INTERVAL 400 DAY
SETTINGS ${dedup}
COMMENT 'Finished batches: counts by type, cost, delays. Position of a partition = max(end_offset). Kept 400 days.';

-- Grain: one incarnation of one topic. Key: log_id.
-- Written by: the ingest job when it meets a log it does not know, first writer wins (token
-- `incarnation/<cluster_id>/<topic>/<incarnation>`).
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.log_incarnations ${on_cluster}
(
    log_id        String,
    cluster_id    String COMMENT 'As the broker reports it',
    topic         LowCardinality(String),
    incarnation   UInt32 COMMENT '1, 2, … for each time the topic began anew on this cluster',
    broker        LowCardinality(String) COMMENT 'kafka or tansu',
    reason        String COMMENT 'Why a new incarnation was registered: first seen, recreated, restarted',
    worker        LowCardinality(String),
    registered_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY (cluster_id, topic, incarnation)
SETTINGS ${dedup}
COMMENT 'Every life of every topic: offsets of one log_id are never compared with those of another. Kept for ever.';

-- Grain: one refused event. Key: log_id, _topic, _partition, _offset, _idx (its place in the log).
-- Written by: the ingest job (token `dead_letters/<log_id>/<topic>/<partition>/<start>-<end>`).
-- Retention: 30 days.
CREATE TABLE IF NOT EXISTS ${database}.dead_letters ${on_cluster}
(
    log_id      LowCardinality(String),
    _topic      LowCardinality(String),
    _partition  Int32,
    _offset     Int64 CODEC(Delta, ZSTD(1)),
    _idx        Int32 COMMENT 'Place of the event inside its record',
    reason      LowCardinality(String) COMMENT 'malformed_json, missing_field, out_of_range, …',
    field       LowCardinality(String) COMMENT 'The field at fault, empty where it is the event as a whole',
    detail      String CODEC(ZSTD(3)) COMMENT 'One sentence for a person',
    value       String CODEC(ZSTD(3)) COMMENT 'The original bytes of the event, as they came',
    record_at   DateTime64(3, 'UTC') COMMENT 'Timestamp of the Kafka record',
    type        LowCardinality(String) COMMENT 'These five as far as they could be read, else empty',
    event_id    String,
    tenant      LowCardinality(String),
    service     LowCardinality(String),
    sdk_name    LowCardinality(String),
    ingested_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the batch was sealed'
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMMDD(ingested_at)
ORDER BY (log_id, _topic, _partition, _offset, _idx)
TTL toDate(ingested_at) + INTERVAL 30 DAY
SETTINGS ${dedup}
COMMENT 'Events that were refused: where they were, why, and their bytes. Kept 30 days.';

-- Grain: one dead letter handled by one run. Key: that of dead_letters, run_id.
-- Written by: `tokentide dlq replay` (token `dead_letter_replays/<run_id>/<chunk>`). dead_letters itself is never
-- changed; a letter with no row here is open (view dead_letters_open).
-- Retention: 30 days, as dead_letters.
CREATE TABLE IF NOT EXISTS ${database}.dead_letter_replays ${on_cluster}
(
    log_id      LowCardinality(String),
    _topic      LowCardinality(String),
    _partition  Int32,
    _offset     Int64,
    _idx        Int32,
    run_id      String COMMENT 'One invocation of the command',
    action      LowCardinality(String) COMMENT 'replayed or discarded',
    acted_by    String,
    acted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMMDD(acted_at)
ORDER BY (log_id, _topic, _partition, _offset, _idx, acted_at)
TTL toDate(acted_at) + INTERVAL 30 DAY
SETTINGS ${dedup}
COMMENT 'What was done with dead letters, one row per letter and run. Kept 30 days.';
