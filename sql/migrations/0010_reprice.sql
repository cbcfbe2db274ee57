-- Repricing: stored requests priced again under other cards, raw rows and windows alike.
-- A run is planned in chunks; each chunk goes planned, corrected, applied, done, and every step
-- can be repeated: an interrupted run is finished by running `tokentide reprice` again.

-- Grain: one state of one run. Key: run_id, state.
-- Written by: `tokentide reprice` (tokens `reprice/<run_id>/planned`, `reprice/<run_id>/done`).
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.reprice_runs ${on_cluster}
(
    run_id        String COMMENT 'Names the run in all tables of this file',
    state         LowCardinality(String) COMMENT 'planned (its chunks are known) or done',
    from_us       Int64 COMMENT 'Requests that started at or after (epoch µs)',
    to_us         Int64 COMMENT 'Exclusive',
    price_version LowCardinality(String) COMMENT 'Cards the requests are priced with now',
    chunks        UInt32,
    worker        LowCardinality(String) COMMENT 'host:pid',
    written_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY (run_id, state)
SETTINGS ${dedup}
COMMENT 'Runs of tokentide reprice; one without a done row was interrupted. Kept for ever.';

-- Grain: one state of one chunk. Key: run_id, chunk, state.
-- Written by: `tokentide reprice` (tokens `reprice/<run_id>/plan`, `reprice/<run_id>/<chunk>/<state>`).
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.reprice_chunks ${on_cluster}
(
    run_id     String,
    chunk      UInt32 COMMENT 'Part of a day, whole windows',
    state      UInt8 COMMENT '0 planned, 1 corrected (new prices computed), 2 applied (raw rows rewritten), 3 done (windows corrected)',
    from_us    Int64,
    to_us      Int64 COMMENT 'Exclusive',
    rows       UInt64 COMMENT 'Requests of other price versions: expected when planned, then counted',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY (run_id, chunk, state)
SETTINGS ${dedup}
COMMENT 'How far each chunk of a repricing is. Kept for ever.';

-- Grain: one request of one run. Key: run_id, log_id, _topic, _partition, _offset, _idx.
-- Written by: `tokentide reprice` before it changes anything (token `reprice/<run_id>/<chunk>/corrections`); raw
-- rows and windows are then brought to what stands here. The old price of a row is found only here.
-- Retention: 90 days.
CREATE TABLE IF NOT EXISTS ${database}.price_corrections ${on_cluster}
(
    run_id                        String,
    chunk                         UInt32,
    log_id                        LowCardinality(String),
    _topic                        LowCardinality(String),
    _partition                    Int32 CODEC(T64, ZSTD(1)),
    _offset                       Int64 CODEC(Delta, ZSTD(1)),
    _idx                          Int32 CODEC(T64, ZSTD(1)),
    started_at_us                 Int64 CODEC(Delta, ZSTD(1)),
    tenant                        LowCardinality(String) COMMENT 'This and the next nine: the series of the windows',
    service                       LowCardinality(String),
    environment                   LowCardinality(String),
    operation                     LowCardinality(String),
    provider                      LowCardinality(String),
    model                         LowCardinality(String),
    prompt_name                   LowCardinality(String),
    prompt_version                LowCardinality(String),
    feature                       LowCardinality(String),
    team                          LowCardinality(String),
    status                        LowCardinality(String),
    old_cost_pico_usd             Nullable(Int64) CODEC(ZSTD(1)),
    old_cost_input_pico_usd       Nullable(Int64) CODEC(ZSTD(1)),
    old_cost_cache_read_pico_usd  Nullable(Int64) CODEC(ZSTD(1)),
    old_cost_cache_write_pico_usd Nullable(Int64) CODEC(ZSTD(1)),
    old_cost_output_pico_usd      Nullable(Int64) CODEC(ZSTD(1)),
    old_cost_other_pico_usd       Nullable(Int64) CODEC(ZSTD(1)),
    old_price_status              LowCardinality(String),
    old_price_version             LowCardinality(String),
    old_price_rule                LowCardinality(String),
    cost_pico_usd                 Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'This and the rest: as priced now',
    cost_input_pico_usd           Nullable(Int64) CODEC(ZSTD(1)),
    cost_cache_read_pico_usd      Nullable(Int64) CODEC(ZSTD(1)),
    cost_cache_write_pico_usd     Nullable(Int64) CODEC(ZSTD(1)),
    cost_output_pico_usd          Nullable(Int64) CODEC(ZSTD(1)),
    cost_other_pico_usd           Nullable(Int64) CODEC(ZSTD(1)),
    price_status                  LowCardinality(String),
    price_version                 LowCardinality(String),
    price_rule                    LowCardinality(String),
    written_at                    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMM(written_at)
ORDER BY (run_id, chunk, log_id, _topic, _partition, _offset, _idx)
TTL toDate(written_at) + INTERVAL 90 DAY
SETTINGS ${dedup}
COMMENT 'Old and new price of every request a repricing touched. Kept 90 days.';
