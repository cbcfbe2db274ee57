-- Distinct users and conversations, countable over any days and dimensions.
--
-- Grain: (day, tenant, service, environment, feature, team, model). States merge: always uniqCombined64Merge().
-- Requests without a user_hash (or conversation_id) add nothing to that state.
-- Written by: a materialised view on insert into raw_requests. Retention: 730 days.

CREATE TABLE IF NOT EXISTS ${database}.users_1d ${on_cluster}
(
    day           Date COMMENT 'UTC day of started_at',
    tenant        LowCardinality(String),
    service       LowCardinality(String),
    environment   LowCardinality(String),
    feature       LowCardinality(String),
    team          LowCardinality(String),
    model         LowCardinality(String) COMMENT 'Response model, or request model where none was reported',
    users         AggregateFunction(uniqCombined64, String) COMMENT 'Distinct user_hash: uniqCombined64Merge(users)',
    conversations AggregateFunction(uniqCombined64, String) COMMENT 'Distinct conversation_id: uniqCombined64Merge(conversations)'
)
ENGINE = ${engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(day)
ORDER BY (day, tenant, service, environment, feature, team, model)
TTL day + INTERVAL 730 DAY
SETTINGS ttl_only_drop_parts = 1, ${dedup}
COMMENT 'States of distinct users and conversations by day and dimensions. Fed by a materialised view. Kept 730 days.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.users_1d_mv ${on_cluster} TO ${database}.users_1d
AS SELECT
    toDate(started_at, 'UTC') AS day,
    tenant,
    service,
    environment,
    feature,
    team,
    if(response_model = '', request_model, response_model) AS model,
    uniqCombined64StateIf(user_hash, user_hash != '') AS users,
    uniqCombined64StateIf(conversation_id, conversation_id != '') AS conversations
FROM ${database}.raw_requests
GROUP BY day, tenant, service, environment, feature, team, model
COMMENT 'Feeds users_1d from raw_requests';
