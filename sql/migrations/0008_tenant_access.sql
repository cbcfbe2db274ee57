-- Which tenants an analyst may see: read by the row policies in sql/roles/analyst.sql.
--
-- Grain: one right. Key: user_name, tenant; '*' is every tenant. Rights are added by INSERT and
-- taken back by DELETE FROM; a user without a row sees nothing.
-- Written by: an administrator. Retention: for ever.

CREATE TABLE IF NOT EXISTS ${database}.tenant_access ${on_cluster}
(
    user_name  String COMMENT 'As currentUser() gives it',
    tenant     LowCardinality(String) COMMENT 'One tenant, or *',
    granted_by String DEFAULT currentUser(),
    granted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY (user_name, tenant)
SETTINGS ${dedup}
COMMENT 'Tenants each analyst may see; * is all of them. Read by row policies. Kept for ever.';
