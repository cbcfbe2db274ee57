-- Alerts: every transition of every alert, who was notified of it, what people did, and SLOs.
--
-- A transition is stored before anybody is notified of it. Its id depends on alert, sequence and state
-- alone, so a replay stores and notifies nothing twice: read with FINAL.

-- Grain: one transition of one alert. Key: id; order: alert and sequence.
-- Written by: the detect job (token `alert_events/<digest of the ids>`).
-- Retention: 400 days.
CREATE TABLE IF NOT EXISTS ${database}.alert_events ${on_cluster}
(
    id                   FixedString(32) COMMENT 'Digest of alert, sequence and state; the webhook-id',
    alert_id             FixedString(32) COMMENT 'Digest of kind, key, metric, direction, period, and when it began',
    sequence             UInt32 COMMENT 'From 0',
    state                LowCardinality(String) COMMENT 'pending, open, acknowledged, closed',
    at                   DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Event time',
    severity             LowCardinality(String) COMMENT 'info, ticket, page',
    why                  String CODEC(ZSTD(3)) COMMENT 'What led to it',
    held                 LowCardinality(String) COMMENT 'Why nobody is notified; empty: receivers are',
    author               LowCardinality(String) COMMENT 'The person who did it',
    identity             FixedString(32) COMMENT 'Digest of kind, key, metric, direction and period',
    kind                 LowCardinality(String) COMMENT 'anomaly, run, budget, slo, pipeline, storm, test',
    key                  String CODEC(ZSTD(3)) COMMENT 'provider openai, model gpt-5',
    dimensions           Map(LowCardinality(String), String) COMMENT 'The same by name',
    tenant               LowCardinality(String) COMMENT 'Of the key; empty where it names none',
    metric               LowCardinality(String),
    direction            LowCardinality(String) COMMENT 'up, down or empty',
    sentence             String CODEC(ZSTD(3)) COMMENT 'What a person is told',
    value                Nullable(Float64),
    expected             Nullable(Float64),
    lower                Nullable(Float64) COMMENT 'Band that is usual',
    upper                Nullable(Float64),
    unit                 LowCardinality(String),
    n                    Nullable(Float64) COMMENT 'Observations behind the value',
    evidence             Nullable(Float64),
    threshold            Nullable(Float64),
    tests                UInt64 COMMENT 'Metrics of keys that were watched; 0: unknown',
    since                DateTime64(6, 'UTC') COMMENT 'Since when it is so',
    opened_at            DateTime64(6, 'UTC') COMMENT '1970: it did not open yet',
    flaps                UInt32 COMMENT 'How often it has come back',
    impact_pico_usd_hour Int128 COMMENT 'Spend beyond the expected',
    impact_failed_minute Float64 COMMENT 'Requests that fail or are missing',
    contributors         Array(String) COMMENT 'Narrower keys with a large share',
    members              Array(String) COMMENT 'What it stands for: absorbed alerts, metrics of an incident, a storm',
    causes               Array(String) COMMENT 'Changes that may explain it, the likeliest first',
    first_action         String CODEC(ZSTD(3)),
    runbook              LowCardinality(String) COMMENT 'Section of docs/alerts.md',
    payload              String CODEC(ZSTD(3)) COMMENT 'All of it as JSON, as receivers get it',
    memory               String CODEC(ZSTD(3)) COMMENT 'What the job goes on from',
    written_at           DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'Clock of the server'
)
ENGINE = ${engine:ReplacingMergeTree(written_at)}
PARTITION BY toYYYYMM(at)
ORDER BY (tenant, alert_id, sequence, id)
TTL toDate(at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, ${dedup}
COMMENT 'Transitions of alerts. Written by the detect job; FINAL. Kept 400 days.';

-- Grain: one action of a person. Key: id.
-- Written by: `tokentide alerts ack` and `close` (token `alert_actions/<id>`); read by the detect job.
-- Retention: 400 days.
CREATE TABLE IF NOT EXISTS ${database}.alert_actions ${on_cluster}
(
    id         String,
    alert_id   String,
    verb       LowCardinality(String) COMMENT 'ack, close',
    author     LowCardinality(String),
    reason     String,
    at         DateTime64(6, 'UTC') COMMENT 'When; it counts from then on',
    written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY at
TTL toDate(at) + INTERVAL 400 DAY
SETTINGS ${dedup}
COMMENT 'What people did about alerts. Kept 400 days.';

-- Grain: one silence; the last row of an id counts, and one that was ended early has its end in it. Key: id.
-- Written by: `tokentide alerts silence` (token `silences/<id>/<end>`); read by the detect job.
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.silences ${on_cluster}
(
    id             String,
    matchers       Map(LowCardinality(String), String) COMMENT 'Field -> pattern with * and ?; all must match',
    start_at       DateTime64(6, 'UTC') COMMENT 'Inclusive',
    end_at         DateTime64(6, 'UTC') COMMENT 'Exclusive',
    days           Array(LowCardinality(String)) COMMENT 'Of the week on which it begins; empty: it holds all the time',
    begin_minute   UInt16 COMMENT 'Of the day, on the clocks of the zone',
    length_minutes UInt32,
    zone           LowCardinality(String) COMMENT 'IANA name',
    author         LowCardinality(String),
    reason         String,
    written_at     DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(written_at)}
ORDER BY id
SETTINGS ${dedup}
COMMENT 'What is not announced, and when; FINAL. Kept for ever.';

-- Grain: one attempt to notify one receiver of one transition. Key: transition_id, receiver, attempt.
-- Written by: the detect job after the attempt.
-- Retention: 90 days.
CREATE TABLE IF NOT EXISTS ${database}.notifications ${on_cluster}
(
    transition_id FixedString(32),
    alert_id      FixedString(32),
    receiver      LowCardinality(String) COMMENT 'Its name in detect.yaml',
    outcome       LowCardinality(String) COMMENT 'delivered; retry: will be tried again; refused, expired: will not',
    status        UInt16 COMMENT 'Of HTTP; 0: there was no answer',
    detail        String CODEC(ZSTD(3)),
    took_ms       Float64,
    at            DateTime64(6, 'UTC') COMMENT 'Clock of the sender',
    written_at    DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = ${engine:MergeTree}
PARTITION BY toYYYYMM(at)
ORDER BY (receiver, transition_id, at)
TTL toDate(at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, ${dedup}
COMMENT 'Attempts to notify receivers of transitions. Kept 90 days.';

-- Grain: one SLO at one look. Key: slo, at.
-- Written by: the detect job and `tokentide slos check` (token `slo_status/<slo>/<at>`).
-- Retention: 400 days.
CREATE TABLE IF NOT EXISTS ${database}.slo_status ${on_cluster}
(
    slo         String,
    tenant      LowCardinality(String) COMMENT 'Of the scope; empty where it names none',
    scope       Map(LowCardinality(String), String) COMMENT 'Empty: everything',
    at          DateTime('UTC') COMMENT 'End of what was looked at',
    objective   Float64 COMMENT 'Share of good events, 0.99',
    window_days UInt16,
    total       UInt64 COMMENT 'Events of the window',
    bad         UInt64,
    budget_left Float64 COMMENT 'Share of the error budget; below 0: more is used up than there was',
    burn        Float64 COMMENT 'The fastest burn that exceeds its factor, else the burn of the longest stretch',
    severity    LowCardinality(String) COMMENT 'Of that rule; empty: none burns',
    sentence    String CODEC(ZSTD(3)),
    written_at  DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(written_at)}
PARTITION BY toYear(at)
ORDER BY (tenant, slo, at)
TTL toDate(at) + INTERVAL 400 DAY
SETTINGS ${dedup}
COMMENT 'How SLOs stand. Kept 400 days.';
