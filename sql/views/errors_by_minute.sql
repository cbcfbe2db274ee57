-- Grain: (minute, tenant, service, environment, operation, provider, model).
-- Reads: windows_1m; 90 days.
-- The four kinds of error add up to errors. error_rate is errors / requests of this row: for
-- another grouping divide the sums.

CREATE OR REPLACE VIEW ${database}.errors_by_minute ${on_cluster} AS
SELECT
    window_start AS minute,
    tenant,
    service,
    environment,
    operation,
    provider,
    model,
    sum(w.requests) AS requests,
    sum(w.errors) AS errors,
    sum(w.errors_rate_limit) AS errors_rate_limit,
    sum(w.errors_timeout) AS errors_timeout,
    sum(w.errors_server) AS errors_server,
    sum(w.errors_other) AS errors_other,
    sum(w.refused) AS refused,
    sum(w.filtered) AS filtered,
    sum(w.cancelled) AS cancelled,
    sum(w.abandoned) AS abandoned,
    sum(w.truncated) AS truncated,
    sum(w.retries) AS retries,
    sum(w.errors) / sum(w.requests) AS error_rate,
    usd_from_pico(sum(w.cost_errors_pico_usd)) AS cost_errors_usd
FROM ${database}.windows_1m AS w
WHERE w.requests > 0
GROUP BY minute, tenant, service, environment, operation, provider, model
COMMENT 'Errors by kind, refusals, truncations and retries by minute. From windows_1m, 90 days.';
