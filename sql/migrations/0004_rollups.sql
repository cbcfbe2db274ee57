-- Rollups: 10 s -> 1 min -> 1 h -> 1 day, each from the level below, same columns, same rules:
-- several rows may hold one grain until parts merge, so always sum() and sumMap().
-- Written by: materialised views on insert into the level below. A repeated insert is dropped at
-- every level (each table has a deduplication window), and one that failed half-way heals when it is repeated.
-- The views do not group: rows of one grain are folded when their part is written.
-- Retention: 1 min 90 days, 1 h 730 days, 1 day 3,650 days.

CREATE TABLE IF NOT EXISTS ${database}.windows_1m ${on_cluster}
(
    -- the series
    window_start                DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Inclusive',
    tenant                      LowCardinality(String),
    service                     LowCardinality(String),
    environment                 LowCardinality(String),
    operation                   LowCardinality(String),
    provider                    LowCardinality(String),
    model                       LowCardinality(String),
    prompt_name                 LowCardinality(String),
    prompt_version              LowCardinality(String),
    feature                     LowCardinality(String),
    team                        LowCardinality(String),

    -- events of all five types; a change or stats event lands in a series that has only
    -- tenant, service and environment
    events                      SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'All events: sum(events) over everything = rows in the raw tables',

    -- requests, and how they ended
    requests                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors                      SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status error',
    errors_rate_limit           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_timeout              SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_server               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_other                SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors: the rest',
    refused                     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status refused',
    filtered                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status filtered',
    cancelled                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status cancelled',
    abandoned                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status abandoned',
    truncated                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Stopped at the token limit',
    retries                     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of retry_count',
    streamed                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    usage_missing               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests whose usage nobody reported',
    unpriced                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests without a price',
    policy_violations           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),

    -- tokens; absent counts as nothing
    input_tokens                SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    cache_write_tokens          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    reasoning_tokens            SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of output_tokens',

    -- money in pico-USD (1e-12 USD)
    cost_pico_usd               SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Sum of the five classes',
    cost_input_pico_usd         SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Input neither read from nor written to a cache',
    cost_cache_read_pico_usd    SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_cache_write_pico_usd   SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_output_pico_usd        SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_other_pico_usd         SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_errors_pico_usd        SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Part of cost_pico_usd: requests that ended in an error',

    -- durations as integers, because float sums depend on their order
    duration_us_sum             SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Over requests',
    ttft_us_sum                 SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Over ttft_count requests',
    ttft_count                  SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests that reported a time to first token',

    -- quality
    evaluations                 SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    evaluations_scored          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'With a score',
    evaluation_score_micro_sum  SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of score * 1e6',
    evaluations_passed          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    feedback                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    feedback_scored             SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'With a score',
    feedback_score_micro_sum    SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of score * 1e6',

    -- histograms: bucket -> count, relative error 1 % (functions p50_from_hist … p99_from_hist)
    latency_hist                SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'duration_ms of requests',
    ttft_hist                   SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'ttft_ms',
    output_tps_hist             SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'Output tokens per second',
    cost_hist                   SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'cost_pico_usd of priced requests'
)
ENGINE = ${engine:AggregatingMergeTree}
PARTITION BY toYYYYMMDD(window_start)
PRIMARY KEY (toStartOfHour(window_start), tenant, service)
ORDER BY (toStartOfHour(window_start), tenant, service, environment, operation, provider, model,
          prompt_name, prompt_version, feature, team, window_start)
TTL toDate(window_start) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 67108864,
         min_columns_to_activate_adaptive_write_buffer = 1, ${dedup}
COMMENT 'One-minute rollup of windows_10s, additive: always sum(), sumMap() for histograms. Fed by a materialised view. Kept 90 days.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.windows_1m_mv ${on_cluster} TO ${database}.windows_1m
AS SELECT * REPLACE (toStartOfMinute(window_start) AS window_start)
FROM ${database}.windows_10s
COMMENT 'Feeds windows_1m from windows_10s';

CREATE TABLE IF NOT EXISTS ${database}.windows_1h ${on_cluster}
(
    -- the series
    window_start                DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Inclusive',
    tenant                      LowCardinality(String),
    service                     LowCardinality(String),
    environment                 LowCardinality(String),
    operation                   LowCardinality(String),
    provider                    LowCardinality(String),
    model                       LowCardinality(String),
    prompt_name                 LowCardinality(String),
    prompt_version              LowCardinality(String),
    feature                     LowCardinality(String),
    team                        LowCardinality(String),

    -- events of all five types; a change or stats event lands in a series that has only
    -- tenant, service and environment
    events                      SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'All events: sum(events) over everything = rows in the raw tables',

    -- requests, and how they ended
    requests                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors                      SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status error',
    errors_rate_limit           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_timeout              SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_server               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_other                SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors: the rest',
    refused                     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status refused',
    filtered                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status filtered',
    cancelled                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status cancelled',
    abandoned                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status abandoned',
    truncated                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Stopped at the token limit',
    retries                     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of retry_count',
    streamed                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    usage_missing               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests whose usage nobody reported',
    unpriced                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests without a price',
    policy_violations           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),

    -- tokens; absent counts as nothing
    input_tokens                SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    cache_write_tokens          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    reasoning_tokens            SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of output_tokens',

    -- money in pico-USD (1e-12 USD)
    cost_pico_usd               SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Sum of the five classes',
    cost_input_pico_usd         SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Input neither read from nor written to a cache',
    cost_cache_read_pico_usd    SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_cache_write_pico_usd   SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_output_pico_usd        SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_other_pico_usd         SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_errors_pico_usd        SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Part of cost_pico_usd: requests that ended in an error',

    -- durations as integers, because float sums depend on their order
    duration_us_sum             SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Over requests',
    ttft_us_sum                 SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Over ttft_count requests',
    ttft_count                  SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests that reported a time to first token',

    -- quality
    evaluations                 SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    evaluations_scored          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'With a score',
    evaluation_score_micro_sum  SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of score * 1e6',
    evaluations_passed          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    feedback                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    feedback_scored             SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'With a score',
    feedback_score_micro_sum    SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of score * 1e6',

    -- histograms: bucket -> count, relative error 1 % (functions p50_from_hist … p99_from_hist)
    latency_hist                SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'duration_ms of requests',
    ttft_hist                   SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'ttft_ms',
    output_tps_hist             SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'Output tokens per second',
    cost_hist                   SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'cost_pico_usd of priced requests'
)
ENGINE = ${engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(window_start)
PRIMARY KEY (toStartOfDay(window_start), tenant, service)
ORDER BY (toStartOfDay(window_start), tenant, service, environment, operation, provider, model,
          prompt_name, prompt_version, feature, team, window_start)
TTL toDate(window_start) + INTERVAL 730 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 67108864,
         min_columns_to_activate_adaptive_write_buffer = 1, ${dedup}
COMMENT 'One-hour rollup of windows_1m, additive: always sum(), sumMap() for histograms. Fed by a materialised view. Kept 730 days.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.windows_1h_mv ${on_cluster} TO ${database}.windows_1h
AS SELECT * REPLACE (toStartOfHour(window_start) AS window_start)
FROM ${database}.windows_1m
COMMENT 'Feeds windows_1h from windows_1m';

CREATE TABLE IF NOT EXISTS ${database}.windows_1d ${on_cluster}
(
    -- the series
    window_start                DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Inclusive',
    tenant                      LowCardinality(String),
    service                     LowCardinality(String),
    environment                 LowCardinality(String),
    operation                   LowCardinality(String),
    provider                    LowCardinality(String),
    model                       LowCardinality(String),
    prompt_name                 LowCardinality(String),
    prompt_version              LowCardinality(String),
    feature                     LowCardinality(String),
    team                        LowCardinality(String),

    -- events of all five types; a change or stats event lands in a series that has only
    -- tenant, service and environment
    events                      SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'All events: sum(events) over everything = rows in the raw tables',

    -- requests, and how they ended
    requests                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors                      SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status error',
    errors_rate_limit           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_timeout              SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_server               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors',
    errors_other                SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of errors: the rest',
    refused                     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status refused',
    filtered                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status filtered',
    cancelled                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status cancelled',
    abandoned                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status abandoned',
    truncated                   SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Stopped at the token limit',
    retries                     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of retry_count',
    streamed                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    usage_missing               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests whose usage nobody reported',
    unpriced                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests without a price',
    policy_violations           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),

    -- tokens; absent counts as nothing
    input_tokens                SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens               SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    cache_write_tokens          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    reasoning_tokens            SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of output_tokens',

    -- money in pico-USD (1e-12 USD)
    cost_pico_usd               SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Sum of the five classes',
    cost_input_pico_usd         SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Input neither read from nor written to a cache',
    cost_cache_read_pico_usd    SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_cache_write_pico_usd   SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_output_pico_usd        SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_other_pico_usd         SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)),
    cost_errors_pico_usd        SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Part of cost_pico_usd: requests that ended in an error',

    -- durations as integers, because float sums depend on their order
    duration_us_sum             SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Over requests',
    ttft_us_sum                 SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Over ttft_count requests',
    ttft_count                  SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests that reported a time to first token',

    -- quality
    evaluations                 SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    evaluations_scored          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'With a score',
    evaluation_score_micro_sum  SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of score * 1e6',
    evaluations_passed          SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    feedback                    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    feedback_scored             SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'With a score',
    feedback_score_micro_sum    SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)) COMMENT 'Sum of score * 1e6',

    -- histograms: bucket -> count, relative error 1 % (functions p50_from_hist … p99_from_hist)
    latency_hist                SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'duration_ms of requests',
    ttft_hist                   SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'ttft_ms',
    output_tps_hist             SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'Output tokens per second',
    cost_hist                   SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)) COMMENT 'cost_pico_usd of priced requests'
)
ENGINE = ${engine:AggregatingMergeTree}
PARTITION BY toYear(window_start)
PRIMARY KEY (tenant, service)
ORDER BY (tenant, service, environment, operation, provider, model,
          prompt_name, prompt_version, feature, team, window_start)
TTL toDate(window_start) + INTERVAL 3650 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 67108864,
         min_columns_to_activate_adaptive_write_buffer = 1, ${dedup}
COMMENT 'One-day (UTC) rollup of windows_1h, additive: always sum(), sumMap() for histograms. Fed by a materialised view. Kept 3,650 days.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.windows_1d_mv ${on_cluster} TO ${database}.windows_1d
AS SELECT * REPLACE (toStartOfDay(window_start) AS window_start)
FROM ${database}.windows_1h
COMMENT 'Feeds windows_1d from windows_1h';
