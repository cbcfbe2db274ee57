-- People who ask questions: read everything of their tenants (table tenant_access), change nothing,
-- and never take the server down with a query.

CREATE ROLE IF NOT EXISTS ${database}_analyst ${on_cluster};

GRANT ${on_cluster} SELECT, SHOW ON ${database}.* TO ${database}_analyst;
-- How much others ask, and when, is for operators.
REVOKE ${on_cluster} SELECT ON ${database}.query_costs FROM ${database}_analyst;

CREATE SETTINGS PROFILE OR REPLACE ${database}_analyst ${on_cluster} SETTINGS
    readonly = 1,
    max_execution_time = 60 MIN 1 MAX 600 CHANGEABLE_IN_READONLY,
    max_memory_usage = 8000000000,
    max_rows_to_read = 10000000000
TO ${database}_analyst;

CREATE QUOTA OR REPLACE ${database}_analyst ${on_cluster} KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 5000, execution_time = 3600
TO ${database}_analyst;

-- One policy on every table that holds a tenant's rows; views read through them. Users of other
-- roles have no policy here and see all rows. Rows without a tenant are for those who may see all.
CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.raw_requests
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.raw_evaluations
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.raw_feedback
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.raw_changes
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.raw_stats
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.windows_10s
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.windows_1m
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.windows_1h
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.windows_1d
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.subjects_1h
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.users_1d
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.dead_letters
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.price_corrections
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.event_voids
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.voided_rows
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.price_cards
    USING tenant IN ('', '*')
        OR tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.anomaly_points
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.run_status
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.budget_status
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.forecasts
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

-- Each user sees their own rights only.
CREATE ROW POLICY OR REPLACE ${database}_own_rights ${on_cluster} ON ${database}.tenant_access
    USING user_name = currentUser()
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.tenant_retention
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.alert_events
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

CREATE ROW POLICY OR REPLACE ${database}_tenant ${on_cluster} ON ${database}.slo_status
    USING tenant IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
        OR '*' IN (SELECT a.tenant FROM ${database}.tenant_access AS a WHERE a.user_name = currentUser())
    TO ${database}_analyst;

