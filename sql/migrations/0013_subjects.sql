-- Subjects: what a batch adds to each user, key, agent, run, tool and MCP server in an hour of event time.
--
-- Grain: (hour, kind, subject, tenant, service); several rows may hold one grain until parts merge, so
-- always sum() (first_started_at: min(); last_* and texts: max()).
-- A request counts once under each kind of which it names a subject; `(other)` holds what a batch had
-- beyond the configured number of subjects of a kind. So the sums of kinds overlap: never add them up.
-- Subjects are many and live shortly: they have sums of their own and are no dimension of the windows.
-- Written by: the ingest job, after the windows (token
-- `subjects_1h/<log_id>/<topic>/<partition>/<start>-<end>`), from rows of ten seconds.
-- Order: the kind and the hour first, so that a time range of one kind prunes.
-- Retention: 90 days, as raw_requests.

CREATE TABLE IF NOT EXISTS ${database}.subjects_1h ${on_cluster}
(
    window_start     DateTime('UTC') EPHEMERAL COMMENT 'Insert only: start of the ten seconds',
    hour             DateTime('UTC') DEFAULT toStartOfHour(window_start, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Inclusive',
    kind             LowCardinality(String) COMMENT 'user, key, agent, run, tool, mcp_server',
    subject          String CODEC(ZSTD(3)) COMMENT 'Hash of the user, id of the key, name of the agent, …; (other): the rest',
    tenant           LowCardinality(String),
    service          LowCardinality(String),

    requests         SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    errors           SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'status error',
    unpriced         SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Requests without a price',
    tool_calls       SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Tool calls that answers asked for',
    input_tokens     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens    SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cost_pico_usd    SimpleAggregateFunction(sum, Int128) CODEC(ZSTD(1)) COMMENT 'Exact, 1e-12 USD',
    first_started_at SimpleAggregateFunction(min, DateTime64(6, 'UTC')) CODEC(Delta, ZSTD(1)),
    last_started_at  SimpleAggregateFunction(max, DateTime64(6, 'UTC')) CODEC(Delta, ZSTD(1)),
    last_ended_at    SimpleAggregateFunction(max, DateTime64(6, 'UTC')) CODEC(Delta, ZSTD(1)) COMMENT 'When the last call had ended',

    -- whose they are; of several the greatest text, so that the order of events does not matter
    agent            SimpleAggregateFunction(max, LowCardinality(String)) COMMENT 'Agent of a run or a tool',
    agent_version    SimpleAggregateFunction(max, LowCardinality(String)),
    user_hash        SimpleAggregateFunction(max, String) CODEC(ZSTD(3)) COMMENT 'User of a run',
    parent           SimpleAggregateFunction(max, String) CODEC(ZSTD(3)) COMMENT 'Of a run the run, of an agent the agent that started it',

    INDEX subject_bloom subject TYPE bloom_filter(0.025) GRANULARITY 1
)
ENGINE = ${engine:AggregatingMergeTree}
PARTITION BY toYYYYMMDD(hour)
ORDER BY (kind, hour, tenant, subject, service)
TTL toDate(hour) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, ${dedup}
COMMENT 'Sums of requests by subject and hour, additive: always sum(), min(), max(). Written by the ingest job. Kept 90 days.';

-- Which kinds a batch is counted under, and how many subjects of each it may name: decided in its intent, and
-- written on every row, so that whoever sums rows again knows what must be in subjects_1h.
ALTER TABLE ${database}.ingest_intents ${on_cluster}
    ADD COLUMN IF NOT EXISTS subject_kinds LowCardinality(String) COMMENT 'Kinds of subjects that the batch is counted under, separated by commas' AFTER accepted_until_us,
    ADD COLUMN IF NOT EXISTS max_subjects UInt32 COMMENT 'Subjects of one kind that the batch names; the rest is (other)' AFTER subject_kinds;

ALTER TABLE ${database}.raw_requests ${on_cluster}
    ADD COLUMN IF NOT EXISTS subject_kinds LowCardinality(String) COMMENT 'Kinds of subjects that the row is counted under, separated by commas' AFTER price_rule;

DROP TABLE IF EXISTS ${database}.raw_requests_probe ${on_cluster};

-- What `reprice` needs to move money from one sum of a subject to another.
ALTER TABLE ${database}.price_corrections ${on_cluster}
    ADD COLUMN IF NOT EXISTS subject_user String CODEC(ZSTD(3)) COMMENT 'This and the next five: the subjects of the request, by kind',
    ADD COLUMN IF NOT EXISTS subject_key LowCardinality(String),
    ADD COLUMN IF NOT EXISTS subject_agent String CODEC(ZSTD(3)),
    ADD COLUMN IF NOT EXISTS subject_run String CODEC(ZSTD(3)),
    ADD COLUMN IF NOT EXISTS subject_tool LowCardinality(String),
    ADD COLUMN IF NOT EXISTS subject_mcp_server LowCardinality(String),
    ADD COLUMN IF NOT EXISTS subject_kinds LowCardinality(String) COMMENT 'Kinds that the request is counted under';
