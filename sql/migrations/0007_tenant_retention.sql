-- Retention by tenant: how long single calls, scores and verdicts of one tenant are kept.
--
-- Grain: one decision; the last one of a tenant counts, days = 0 returns it to the tables' own
-- retention. Key: tenant, set_at.
-- Written by: an administrator (INSERT INTO tenant_retention (tenant, days, set_by) VALUES …);
-- `tokentide migrate` turns it into the TTL of raw_requests, raw_evaluations and raw_feedback.
-- Windows and rollups hold no single calls and keep their own retention.
-- Retention: for ever.

CREATE TABLE IF NOT EXISTS ${database}.tenant_retention ${on_cluster}
(
    tenant LowCardinality(String),
    days   UInt16 COMMENT '0: as the table says',
    set_by String DEFAULT currentUser(),
    set_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY (tenant, set_at)
SETTINGS ${dedup}
COMMENT 'Retention of raw rows by tenant, the last row of a tenant counts; applied by tokentide migrate. Kept for ever.';
