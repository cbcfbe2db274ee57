-- Detection: what the detect job found, how runs and budgets stand, and the state it goes on from.
--
-- Rows have ids made of what they name, so a replay of the stream writes the same rows again: read with
-- FINAL, or take the last row of an id. Written by: the detect job.

-- Grain: one change of an alarm (tier B), or one extreme (tier A), of one metric of one key in one window.
-- Key: id. Order: by metric, key and time, as a panel draws them.
-- Retention: 90 days.
CREATE TABLE IF NOT EXISTS ${database}.anomaly_points ${on_cluster}
(
    id           FixedString(32) COMMENT 'Digest of key, metric, test, change and window',
    window_start DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Of the window in which it showed',
    window_s     UInt32 COMMENT 'Length of the window',
    level        LowCardinality(String) COMMENT 'Dimensions that windows were summed by: tenant+model',
    key          String CODEC(ZSTD(3)) COMMENT 'tenant=acme, model=gpt-4o',
    dimensions   Map(LowCardinality(String), String) COMMENT 'The same by name',
    tenant       LowCardinality(String) COMMENT 'Of the key; empty where the level has none',
    metric       LowCardinality(String),
    unit         LowCardinality(String),
    what         LowCardinality(String) COMMENT 'extreme (recorded only), opened, closed, adopted',
    test         LowCardinality(String) COMMENT 'up, down, rise, drop, severe; of an extreme empty',
    value        Float64 COMMENT 'What was seen; NaN: nothing',
    expected     Float64,
    lower        Float64 COMMENT 'Band in which the test sees nothing, half-open; of an extreme NaN',
    upper        Float64,
    n            Float64 COMMENT 'Observations behind the value; of an extreme NaN',
    score        Float64 COMMENT 'Of an extreme: 1 is beyond all before by the sensitivity; else 0',
    evidence     Float64 COMMENT 'Of an alarm: what its test added up',
    threshold    Float64 COMMENT 'What it needs',
    since        DateTime('UTC') COMMENT 'Of an alarm: since when its evidence was never zero',
    opened_at    DateTime('UTC') COMMENT 'Of an alarm: the window in which it opened',
    is_young     Bool COMMENT 'The baseline is younger than a week',
    cost_usd     Float64 COMMENT 'Spend of the key in this window',
    reason       String CODEC(ZSTD(3)) COMMENT 'One sentence; of an extreme empty',
    written_at   DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(written_at)}
PARTITION BY toYYYYMM(window_start)
ORDER BY (metric, tenant, key, window_start, id)
TTL toDate(window_start) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, ${dedup}
COMMENT 'Alarms and extremes of windows. Written by the detect job; FINAL. Kept 90 days.';

-- Grain: one rule that one run broke. Key: id.
-- Retention: 90 days, as the calls of the run.
CREATE TABLE IF NOT EXISTS ${database}.run_status ${on_cluster}
(
    id                  FixedString(32) COMMENT 'Digest of run, rule and step',
    at                  DateTime64(6, 'UTC') COMMENT 'Event time of the step that broke the rule',
    tenant              LowCardinality(String),
    run                 String CODEC(ZSTD(3)),
    agent               LowCardinality(String),
    user_hash           String CODEC(ZSTD(3)),
    rule                LowCardinality(String) COMMENT 'spend_rate, budget, repeats',
    value               Int128 COMMENT 'Pico-USD spent, or repeated steps',
    allowed             Int128 COMMENT 'The limit in the same unit',
    learned_from        LowCardinality(String) COMMENT 'agent, tenant, start, floor, budget; of repeats empty',
    spend_pico_usd      Int128 COMMENT 'Of the run by then',
    per_minute_pico_usd Int128,
    calls               UInt64 COMMENT 'Of the run by then',
    tools               Array(String) COMMENT 'Its last tools, the latest first',
    is_history          Bool COMMENT 'Found in a replay or a backfill: nobody was told',
    sentence            String CODEC(ZSTD(3)),
    seen_at             DateTime64(6, 'UTC') COMMENT 'Time of the record that told it',
    written_at          DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(written_at)}
PARTITION BY toYYYYMM(at)
ORDER BY (tenant, run, at, id)
TTL toDate(at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, ${dedup}
COMMENT 'Rules that runs broke. Written by the detect job; FINAL. Kept 90 days.';

-- Grain: one budget in one period; the newest row is how it stands. Key: tenant, budget, period_start.
-- Retention: 730 days, as windows by the hour.
CREATE TABLE IF NOT EXISTS ${database}.budget_status ${on_cluster}
(
    budget          String,
    revision        FixedString(32) COMMENT 'Of what is counted against which amount',
    scope           Map(LowCardinality(String), String) COMMENT 'Empty: everything',
    tenant          LowCardinality(String) COMMENT 'Of the scope; empty where it names none',
    kind            LowCardinality(String) COMMENT 'soft, hard',
    period          LowCardinality(String) COMMENT 'hour, day, week, month',
    period_start    DateTime('UTC') COMMENT 'Inclusive',
    period_end      DateTime('UTC') COMMENT 'Exclusive',
    amount_pico_usd Int128,
    spent_pico_usd  Int128 COMMENT 'Exact',
    requests        Int64,
    unpriced        Int64 COMMENT 'Requests without a price: more is spent than is said',
    thresholds      Array(UInt16) COMMENT 'Percentages that are watched',
    reached         Array(UInt16) COMMENT 'Those that were reached',
    reached_at      Array(DateTime('UTC')) COMMENT 'Start of the window whose cost reached each',
    at              DateTime64(6, 'UTC') COMMENT 'Time of the stream by which it is so',
    written_at      DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(at)}
PARTITION BY toYear(period_start)
ORDER BY (tenant, budget, period_start)
TTL toDate(period_start) + INTERVAL 730 DAY
SETTINGS ${dedup}
COMMENT 'How budgets stand, by period. Written by the detect job; FINAL. Kept 730 days.';

-- Grain: one budget at one hour: where its period is expected to end. Key: tenant, budget, period_start, made_at.
-- Retention: 730 days.
CREATE TABLE IF NOT EXISTS ${database}.forecasts ${on_cluster}
(
    budget            String,
    tenant            LowCardinality(String) COMMENT 'Of the scope; empty where it names none',
    period_start      DateTime('UTC'),
    period_end        DateTime('UTC'),
    made_at           DateTime('UTC') COMMENT 'Full hour',
    amount_pico_usd   Int128,
    spent_pico_usd    Int128 COMMENT 'By the stored windows',
    expected_pico_usd Nullable(Int128) COMMENT 'At the end of the period; NULL: nothing honest can be said',
    low_pico_usd      Nullable(Int128) COMMENT '80 % interval',
    high_pico_usd     Nullable(Int128),
    method            LowCardinality(String),
    rests_on          String COMMENT 'What the forecast rests on, or why there is none',
    verdict           LowCardinality(String) COMMENT 'ok, attention, over',
    written_at        DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(written_at)}
PARTITION BY toYear(period_start)
ORDER BY (tenant, budget, period_start, made_at)
TTL toDate(period_start) + INTERVAL 730 DAY
SETTINGS ${dedup}
COMMENT 'Forecasts of budgets by the hour. Written by the detect job; FINAL. Kept 730 days.';

-- Grain: one piece of one snapshot of the detect job. Key: slot, chunk; snapshots take three slots in turn,
-- so the pieces of old ones are replaced, and two whole ones are there while one is written.
-- Retention: for ever, three snapshots.
CREATE TABLE IF NOT EXISTS ${database}.detector_state ${on_cluster}
(
    slot        UInt8,
    chunk       UInt32 COMMENT 'Number of the piece',
    chunks      UInt32 COMMENT 'Pieces of the whole snapshot',
    snapshot_id String COMMENT 'One id a snapshot',
    taken_at_us Int64 COMMENT 'Clock of the worker; the newest whole snapshot counts',
    version     UInt32 COMMENT 'Of its layout; another one is not read',
    topic_id    String COMMENT 'Incarnation of the topic of deltas that the offsets mean',
    partitions  Array(Int32) COMMENT 'Of that topic',
    offsets     Array(Int64) COMMENT 'Where reading goes on, by partition',
    worker      LowCardinality(String) COMMENT 'host:pid',
    bytes       UInt64 COMMENT 'Of the whole state, unpacked',
    data        String CODEC(NONE) COMMENT 'Zstandard',
    written_at  DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(taken_at_us)}
ORDER BY (slot, chunk)
SETTINGS ${dedup}
COMMENT 'Snapshots of the detect job, the last three. Written by the detect job.';
