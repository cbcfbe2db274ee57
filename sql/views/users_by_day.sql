-- Grain: (day, tenant, service). Reads: users_1d; 730 days.
-- Distinct counts do not add up: for another grouping, or for weeks, ask users_1d itself:
-- uniqCombined64Merge(users). The error is below 1 %.

CREATE OR REPLACE VIEW ${database}.users_by_day ${on_cluster} AS
SELECT
    day,
    tenant,
    service,
    uniqCombined64Merge(u.users) AS users,
    uniqCombined64Merge(u.conversations) AS conversations
FROM ${database}.users_1d AS u
GROUP BY day, tenant, service
COMMENT 'Distinct users and conversations by day, tenant and service; not additive. From users_1d, 730 days.';
