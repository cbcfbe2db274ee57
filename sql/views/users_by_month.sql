-- Grain: (month, scope, tenant, service). Reads: users_1d, whose columns are states that only merge; 730 days.
-- Distinct counts do not add up, over months, tenants or services. So each is counted here in three scopes: `service` (one
-- service of one tenant), `tenant` (all services of one), `all`. What a scope takes together is '' in its rows.
-- Always restrict scope; ask within one only. The error is below 1 %.

CREATE OR REPLACE VIEW ${database}.users_by_month ${on_cluster} AS
SELECT
    toStartOfMonth(u.day) AS month,
    'service' AS scope,
    toString(u.tenant) AS tenant,
    toString(u.service) AS service,
    uniqCombined64Merge(u.users) AS users,
    uniqCombined64Merge(u.conversations) AS conversations
FROM ${database}.users_1d AS u
GROUP BY month, tenant, service
UNION ALL
SELECT
    toStartOfMonth(u.day) AS month,
    'tenant' AS scope,
    toString(u.tenant) AS tenant,
    '' AS service,
    uniqCombined64Merge(u.users) AS users,
    uniqCombined64Merge(u.conversations) AS conversations
FROM ${database}.users_1d AS u
GROUP BY month, tenant
UNION ALL
SELECT
    toStartOfMonth(u.day) AS month,
    'all' AS scope,
    '' AS tenant,
    '' AS service,
    uniqCombined64Merge(u.users) AS users,
    uniqCombined64Merge(u.conversations) AS conversations
FROM ${database}.users_1d AS u
GROUP BY month
COMMENT 'Distinct users and conversations by UTC month in three scopes: all, tenant, service; not additive, restrict scope. From users_1d, 730 days.';

ALTER TABLE ${database}.users_by_month ${on_cluster}
    COMMENT COLUMN month 'First day of the month, UTC, inclusive',
    COMMENT COLUMN scope 'service, tenant or all: what the counts are distinct within; ask within one',
    COMMENT COLUMN tenant 'Of the scopes service and tenant; else empty',
    COMMENT COLUMN service 'Of the scope service; else empty',
    COMMENT COLUMN users 'Distinct user_hash within the scope, error below 1 %; not additive',
    COMMENT COLUMN conversations 'Distinct conversation_id within the scope, error below 1 %; not additive';
