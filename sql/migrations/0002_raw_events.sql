-- The raw events: one wide, immutable table per event type, every field under its own name.
--
-- Grain: one accepted event. Identity: (log_id, _topic, _partition, _offset, _idx), its place in the
-- log; event_id is the producer's and may repeat (verify counts repeats, nothing merges them).
-- Written by: the ingest job only (token `<table>/<log_id>/<topic>/<partition>/<start>-<end>`).
-- Partition: day of started_at. Order: tenant, service, started_at.
-- Absent optional strings are ''; absent numbers and booleans are NULL, never 0.
-- `tags_json` and `other_units_json` exist only during an insert: JSON text that becomes the Map.
-- Codecs were chosen by measuring a million requests with every id filled: prices make costs
-- multiples of a rate (GCD), random ids are stored at their entropy (ZSTD(1) beats (3) on hex).
-- A wide part has a file for each of some 180 streams, and writing one takes 3 MB for each: parts stay
-- compact up to 64 MB, and buffers grow as needed (an insert of 50,000 rows: 660 MB -> 220 MB, half the CPU).
-- Retention: requests 90 days, evaluations and feedback 400, changes 1,100, stats 30; a tenant may
-- have its own (table tenant_retention).

CREATE TABLE IF NOT EXISTS ${database}.raw_requests ${on_cluster}
(
    -- identity, time and origin (every event has these)
    schema_version          UInt16 COMMENT 'Version of the event contract',
    event_id                UUID CODEC(ZSTD(3)) COMMENT 'UUIDv7 of the producer',
    started_at              DateTime64(6, 'UTC') CODEC(Delta, T64, ZSTD(1)) COMMENT 'When the call began; started_at_us of the event',
    type                    LowCardinality(String) DEFAULT 'request',
    service                 LowCardinality(String),
    environment             LowCardinality(String),
    tenant                  LowCardinality(String),
    team                    LowCardinality(String),
    feature                 LowCardinality(String),
    user_hash               String CODEC(ZSTD(3)) COMMENT 'Hashed by the producer',
    sdk_name                LowCardinality(String),
    sdk_version             LowCardinality(String),
    host                    LowCardinality(String),
    pid                     Nullable(UInt64) CODEC(T64, ZSTD(1)),
    trace_id                String CODEC(ZSTD(1)) COMMENT '32 hex digits or empty',
    span_id                 String CODEC(ZSTD(1)) COMMENT '16 hex digits or empty',
    parent_span_id          String CODEC(ZSTD(1)) COMMENT '16 hex digits or empty',
    tags_json               String EPHEMERAL '{}' COMMENT 'Insert only: tags as a JSON object',
    tags                    Map(LowCardinality(String), String) DEFAULT JSONExtract(tags_json, 'Map(LowCardinality(String), String)') CODEC(ZSTD(3)),
    sample_rate             Nullable(Float64) CODEC(ZSTD(1)) COMMENT 'Share of events the producer kept (0..1]',
    dropped_before          Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Events the producer dropped before this one, running total',
    seq                     Nullable(UInt64) CODEC(Delta, ZSTD(1)) COMMENT 'Running number within the producer',

    -- the call
    duration_ms             Float64 CODEC(ZSTD(3)) COMMENT 'Start to last byte',
    operation               LowCardinality(String) COMMENT 'chat, embeddings, …',
    provider                LowCardinality(String),
    status                  LowCardinality(String) COMMENT 'ok, error, refused, filtered, cancelled, abandoned',
    upstream_provider       LowCardinality(String) COMMENT 'Who served it behind a gateway',
    server_address          LowCardinality(String),
    server_port             Nullable(UInt16) CODEC(ZSTD(1)),
    region                  LowCardinality(String),
    request_model           LowCardinality(String) COMMENT 'Asked for',
    response_model          LowCardinality(String) COMMENT 'Answered; what is priced',
    response_id             String CODEC(ZSTD(1)),
    system_fingerprint      LowCardinality(String),
    previous_response_id    String CODEC(ZSTD(1)),

    -- where it belongs
    conversation_id         String CODEC(ZSTD(3)),
    agent_id                String CODEC(ZSTD(1)),
    agent_name              LowCardinality(String),
    workflow_name           LowCardinality(String),
    prompt_name             LowCardinality(String),
    prompt_version          LowCardinality(String),
    tool_call_id            String CODEC(ZSTD(1)),
    tool_name               LowCardinality(String),
    tool_type               LowCardinality(String),
    tool_calls_count        Nullable(UInt32) CODEC(T64, ZSTD(1)),

    -- how it was asked
    stream                  Nullable(Bool) CODEC(ZSTD(1)),
    choices                 Nullable(UInt32) CODEC(T64, ZSTD(1)),
    max_tokens              Nullable(UInt64) CODEC(T64, ZSTD(1)),
    temperature             Nullable(Float64) CODEC(ZSTD(1)),
    reasoning_level         LowCardinality(String),

    -- usage: input and output are inclusive totals, every detail is a part of its total
    input_tokens            Nullable(UInt64) CODEC(T64, ZSTD(1)),
    output_tokens           Nullable(UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens       Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    cache_write_tokens      Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    cache_write_1h_tokens   Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of cache_write_tokens',
    cache_write_long_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of cache_write_tokens',
    reasoning_tokens        Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of output_tokens',
    input_audio_tokens      Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    input_image_tokens      Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    input_video_tokens      Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of input_tokens',
    output_audio_tokens     Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of output_tokens',
    output_image_tokens     Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of output_tokens',
    cache_read_audio_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Part of cache_read_tokens and of input_audio_tokens',
    web_searches            Nullable(UInt32) CODEC(T64, ZSTD(1)),
    other_units_json        String EPHEMERAL '{}' COMMENT 'Insert only: other_units as a JSON object',
    other_units             Map(LowCardinality(String), Float64) DEFAULT JSONExtract(other_units_json, 'Map(LowCardinality(String), Float64)') CODEC(ZSTD(1)) COMMENT 'Billed units that are not tokens: pages, seconds, images',
    usage_source            LowCardinality(String) COMMENT 'provider, estimated, missing, or empty',
    usage_raw               String CODEC(ZSTD(3)) COMMENT 'The usage object of the provider, if the producer kept it',
    service_tier_requested  LowCardinality(String),
    service_tier            LowCardinality(String) COMMENT 'Served; what is priced',
    processing              LowCardinality(String) COMMENT 'sync or batch',
    speed                   LowCardinality(String),
    inference_geo           LowCardinality(String),

    -- how it ended
    error_type              LowCardinality(String),
    error_code              LowCardinality(String),
    http_status             Nullable(UInt16) CODEC(ZSTD(1)),
    retry_count             Nullable(UInt32) CODEC(T64, ZSTD(1)) COMMENT 'Attempts before this one',
    retry_after_ms          Nullable(Float64) CODEC(ZSTD(1)),
    finish_reasons          Array(LowCardinality(String)) CODEC(ZSTD(1)),
    ttft_ms                 Nullable(Float64) CODEC(ZSTD(3)) COMMENT 'Start to first token',
    chunks                  Nullable(UInt64) CODEC(T64, ZSTD(1)),
    max_chunk_gap_ms        Nullable(Float64) CODEC(ZSTD(3)) COMMENT 'Longest silence inside the stream',

    -- money, integer pico-USD (1e-12 USD); the five classes add up to cost_pico_usd; all NULL when unpriced
    cost_pico_usd             Nullable(Int64) CODEC(GCD, T64, ZSTD(1)),
    cost_input_pico_usd       Nullable(Int64) CODEC(GCD, T64, ZSTD(1)) COMMENT 'Input that was neither read from nor written to a cache',
    cost_cache_read_pico_usd  Nullable(Int64) CODEC(GCD, T64, ZSTD(1)),
    cost_cache_write_pico_usd Nullable(Int64) CODEC(GCD, T64, ZSTD(1)),
    cost_output_pico_usd      Nullable(Int64) CODEC(GCD, T64, ZSTD(1)) COMMENT 'Reasoning included',
    cost_other_pico_usd       Nullable(Int64) CODEC(GCD, T64, ZSTD(1)) COMMENT 'Searches, images, pages, seconds, fees per call',
    price_version             LowCardinality(String) COMMENT 'Card set that priced the row (price_versions)',
    price_status              LowCardinality(String) COMMENT 'exact, partial, fallback_tier, override, unpriced',
    price_rule                LowCardinality(String) COMMENT 'Card or override that priced the row',

    -- where it was in the log
    log_id                  LowCardinality(String),
    _topic                  LowCardinality(String),
    _partition              Int32 CODEC(T64, ZSTD(1)),
    _offset                 Int64 CODEC(Delta, ZSTD(1)),
    _idx                    Int32 CODEC(T64, ZSTD(1)),
    ingested_at             DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When its batch was sealed',

    INDEX event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX trace_id_bloom trace_id TYPE bloom_filter(0.025) GRANULARITY 1,
    INDEX response_id_bloom response_id TYPE bloom_filter(0.025) GRANULARITY 1,
    INDEX conversation_id_bloom conversation_id TYPE bloom_filter(0.025) GRANULARITY 1,
    INDEX offset_minmax _offset TYPE minmax GRANULARITY 1
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMMDD(started_at)
ORDER BY (tenant, service, started_at)
TTL toDate(started_at) + INTERVAL 90 DAY
SETTINGS min_bytes_for_wide_part = 67108864, min_columns_to_activate_adaptive_write_buffer = 1, ${dedup}
COMMENT 'LLM calls, one row each, as accepted and priced by the ingest job. Query the view requests. Kept 90 days.';

CREATE TABLE IF NOT EXISTS ${database}.raw_evaluations ${on_cluster}
(
    -- identity, time and origin
    schema_version   UInt16,
    event_id         UUID CODEC(ZSTD(3)),
    started_at       DateTime64(6, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    type             LowCardinality(String) DEFAULT 'evaluation',
    service          LowCardinality(String),
    environment      LowCardinality(String),
    tenant           LowCardinality(String),
    team             LowCardinality(String),
    feature          LowCardinality(String),
    user_hash        String CODEC(ZSTD(3)),
    sdk_name         LowCardinality(String),
    sdk_version      LowCardinality(String),
    host             LowCardinality(String),
    pid              Nullable(UInt64) CODEC(T64, ZSTD(1)),
    trace_id         String CODEC(ZSTD(1)),
    span_id          String CODEC(ZSTD(1)),
    parent_span_id   String CODEC(ZSTD(1)),
    tags_json        String EPHEMERAL '{}',
    tags             Map(LowCardinality(String), String) DEFAULT JSONExtract(tags_json, 'Map(LowCardinality(String), String)') CODEC(ZSTD(3)),
    sample_rate      Nullable(Float64) CODEC(ZSTD(1)),
    dropped_before   Nullable(UInt64) CODEC(T64, ZSTD(1)),
    seq              Nullable(UInt64) CODEC(Delta, ZSTD(1)),

    -- what is judged
    name             LowCardinality(String) COMMENT 'Name of the evaluation: faithfulness, toxicity, …',
    target_event_id  String CODEC(ZSTD(1)) COMMENT 'event_id of the request, or empty; the view gives a Nullable(UUID)',
    response_id      String CODEC(ZSTD(1)),
    conversation_id  String CODEC(ZSTD(3)),
    provider         LowCardinality(String),
    operation        LowCardinality(String),
    request_model    LowCardinality(String),
    response_model   LowCardinality(String),
    prompt_name      LowCardinality(String),
    prompt_version   LowCardinality(String),

    -- the verdict
    score            Nullable(Float64) CODEC(ZSTD(1)),
    label            LowCardinality(String),
    evaluator        LowCardinality(String) COMMENT 'judge, guardrail, human, code',
    passed           Nullable(Bool) CODEC(ZSTD(1)),
    explanation      String CODEC(ZSTD(3)),
    error_type       LowCardinality(String),
    duration_ms      Nullable(Float64) CODEC(ZSTD(3)),

    -- where it was in the log
    log_id           LowCardinality(String),
    _topic           LowCardinality(String),
    _partition       Int32 CODEC(T64, ZSTD(1)),
    _offset          Int64 CODEC(Delta, ZSTD(1)),
    _idx             Int32 CODEC(T64, ZSTD(1)),
    ingested_at      DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),

    INDEX event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX target_event_id_bloom target_event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX response_id_bloom response_id TYPE bloom_filter(0.025) GRANULARITY 1
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMMDD(started_at)
ORDER BY (tenant, service, started_at)
TTL toDate(started_at) + INTERVAL 400 DAY
SETTINGS ${dedup}
COMMENT 'Scores of responses by judges, guardrails, code and people, one row each. Query the view evaluations. Kept 400 days.';

CREATE TABLE IF NOT EXISTS ${database}.raw_feedback ${on_cluster}
(
    -- identity, time and origin
    schema_version   UInt16,
    event_id         UUID CODEC(ZSTD(3)),
    started_at       DateTime64(6, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    type             LowCardinality(String) DEFAULT 'feedback',
    service          LowCardinality(String),
    environment      LowCardinality(String),
    tenant           LowCardinality(String),
    team             LowCardinality(String),
    feature          LowCardinality(String),
    user_hash        String CODEC(ZSTD(3)),
    sdk_name         LowCardinality(String),
    sdk_version      LowCardinality(String),
    host             LowCardinality(String),
    pid              Nullable(UInt64) CODEC(T64, ZSTD(1)),
    trace_id         String CODEC(ZSTD(1)),
    span_id          String CODEC(ZSTD(1)),
    parent_span_id   String CODEC(ZSTD(1)),
    tags_json        String EPHEMERAL '{}',
    tags             Map(LowCardinality(String), String) DEFAULT JSONExtract(tags_json, 'Map(LowCardinality(String), String)') CODEC(ZSTD(3)),
    sample_rate      Nullable(Float64) CODEC(ZSTD(1)),
    dropped_before   Nullable(UInt64) CODEC(T64, ZSTD(1)),
    seq              Nullable(UInt64) CODEC(Delta, ZSTD(1)),

    -- what is judged
    name             LowCardinality(String) COMMENT 'thumbs, stars, edit_distance, …',
    target_event_id  String CODEC(ZSTD(1)) COMMENT 'event_id of the request, or empty; the view gives a Nullable(UUID)',
    response_id      String CODEC(ZSTD(1)),
    conversation_id  String CODEC(ZSTD(3)),
    provider         LowCardinality(String),
    operation        LowCardinality(String),
    request_model    LowCardinality(String),
    response_model   LowCardinality(String),
    prompt_name      LowCardinality(String),
    prompt_version   LowCardinality(String),

    -- the verdict
    score            Nullable(Float64) CODEC(ZSTD(1)),
    label            LowCardinality(String),
    comment          String CODEC(ZSTD(3)),

    -- where it was in the log
    log_id           LowCardinality(String),
    _topic           LowCardinality(String),
    _partition       Int32 CODEC(T64, ZSTD(1)),
    _offset          Int64 CODEC(Delta, ZSTD(1)),
    _idx             Int32 CODEC(T64, ZSTD(1)),
    ingested_at      DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),

    INDEX event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX target_event_id_bloom target_event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX response_id_bloom response_id TYPE bloom_filter(0.025) GRANULARITY 1
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMMDD(started_at)
ORDER BY (tenant, service, started_at)
TTL toDate(started_at) + INTERVAL 400 DAY
SETTINGS ${dedup}
COMMENT 'What end users said of responses, one row each. Query the view feedback. Kept 400 days.';

-- Changes are few and live long: partitioned by month.
CREATE TABLE IF NOT EXISTS ${database}.raw_changes ${on_cluster}
(
    -- identity, time and origin
    schema_version   UInt16,
    event_id         UUID CODEC(ZSTD(3)),
    started_at       DateTime64(6, 'UTC') CODEC(Delta, T64, ZSTD(1)) COMMENT 'When the change took effect',
    type             LowCardinality(String) DEFAULT 'change',
    service          LowCardinality(String),
    environment      LowCardinality(String),
    tenant           LowCardinality(String),
    team             LowCardinality(String),
    feature          LowCardinality(String),
    user_hash        String CODEC(ZSTD(3)),
    sdk_name         LowCardinality(String),
    sdk_version      LowCardinality(String),
    host             LowCardinality(String),
    pid              Nullable(UInt64) CODEC(T64, ZSTD(1)),
    trace_id         String CODEC(ZSTD(1)),
    span_id          String CODEC(ZSTD(1)),
    parent_span_id   String CODEC(ZSTD(1)),
    tags_json        String EPHEMERAL '{}',
    tags             Map(LowCardinality(String), String) DEFAULT JSONExtract(tags_json, 'Map(LowCardinality(String), String)') CODEC(ZSTD(3)),
    sample_rate      Nullable(Float64) CODEC(ZSTD(1)),
    dropped_before   Nullable(UInt64) CODEC(T64, ZSTD(1)),
    seq              Nullable(UInt64) CODEC(Delta, ZSTD(1)),

    -- the change
    kind             LowCardinality(String) COMMENT 'deploy, prompt, model, price, policy',
    subject          LowCardinality(String) COMMENT 'What was changed: a service, a prompt name, a model',
    from_version     String,
    to_version       String,
    description      String CODEC(ZSTD(3)),
    actor            LowCardinality(String),

    -- where it was in the log
    log_id           LowCardinality(String),
    _topic           LowCardinality(String),
    _partition       Int32 CODEC(T64, ZSTD(1)),
    _offset          Int64 CODEC(Delta, ZSTD(1)),
    _idx             Int32 CODEC(T64, ZSTD(1)),
    ingested_at      DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMM(started_at)
ORDER BY (tenant, service, started_at)
TTL toDate(started_at) + INTERVAL 1100 DAY
SETTINGS ${dedup}
COMMENT 'Deploys and changes of prompts, models, prices and policies, one row each. Query the view changes. Kept 1,100 days.';

CREATE TABLE IF NOT EXISTS ${database}.raw_stats ${on_cluster}
(
    -- identity, time and origin
    schema_version   UInt16,
    event_id         UUID CODEC(ZSTD(3)),
    started_at       DateTime64(6, 'UTC') CODEC(Delta, T64, ZSTD(1)) COMMENT 'When the counters were read',
    type             LowCardinality(String) DEFAULT 'stats',
    service          LowCardinality(String),
    environment      LowCardinality(String),
    tenant           LowCardinality(String),
    team             LowCardinality(String),
    feature          LowCardinality(String),
    user_hash        String CODEC(ZSTD(3)),
    sdk_name         LowCardinality(String),
    sdk_version      LowCardinality(String),
    host             LowCardinality(String),
    pid              Nullable(UInt64) CODEC(T64, ZSTD(1)),
    trace_id         String CODEC(ZSTD(1)),
    span_id          String CODEC(ZSTD(1)),
    parent_span_id   String CODEC(ZSTD(1)),
    tags_json        String EPHEMERAL '{}',
    tags             Map(LowCardinality(String), String) DEFAULT JSONExtract(tags_json, 'Map(LowCardinality(String), String)') CODEC(ZSTD(3)),
    sample_rate      Nullable(Float64) CODEC(ZSTD(1)),
    dropped_before   Nullable(UInt64) CODEC(T64, ZSTD(1)),
    seq              Nullable(UInt64) CODEC(Delta, ZSTD(1)),

    -- counters of the producer since its start
    producer_id      LowCardinality(String) COMMENT 'One producer process',
    uptime_ms        Nullable(Float64) CODEC(ZSTD(1)),
    emitted          Nullable(UInt64) CODEC(T64, ZSTD(1)),
    delivered        Nullable(UInt64) CODEC(T64, ZSTD(1)),
    dropped          Nullable(UInt64) CODEC(T64, ZSTD(1)),
    failed           Nullable(UInt64) CODEC(T64, ZSTD(1)),
    queued           Nullable(UInt64) CODEC(T64, ZSTD(1)),
    frames           Nullable(UInt64) CODEC(T64, ZSTD(1)),
    bytes_sent       Nullable(UInt64) CODEC(T64, ZSTD(1)),
    retries          Nullable(UInt64) CODEC(T64, ZSTD(1)),
    last_error       String CODEC(ZSTD(3)),

    -- where it was in the log
    log_id           LowCardinality(String),
    _topic           LowCardinality(String),
    _partition       Int32 CODEC(T64, ZSTD(1)),
    _offset          Int64 CODEC(Delta, ZSTD(1)),
    _idx             Int32 CODEC(T64, ZSTD(1)),
    ingested_at      DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMMDD(started_at)
ORDER BY (tenant, service, started_at)
TTL toDate(started_at) + INTERVAL 30 DAY
SETTINGS ${dedup}
COMMENT 'Running counters of producers, one row per report. Query the view producer_stats. Kept 30 days.';
