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

ALTER TABLE ${database}.errors_by_minute ${on_cluster}
    COMMENT COLUMN minute 'Beginning of the minute, UTC, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN environment 'production, staging, …; empty: none was named',
    COMMENT COLUMN operation 'chat, embeddings, …',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN errors 'Calls that ended in an error, the sum of the four kinds; part of requests',
    COMMENT COLUMN errors_rate_limit 'Part of errors: rate limits',
    COMMENT COLUMN errors_timeout 'Part of errors: time-outs',
    COMMENT COLUMN errors_server 'Part of errors: failures and overload of the provider',
    COMMENT COLUMN errors_other 'Part of errors: the rest',
    COMMENT COLUMN refused 'Part of requests: the model refused',
    COMMENT COLUMN filtered 'Part of requests: the answer was filtered',
    COMMENT COLUMN cancelled 'Part of requests: the caller cancelled',
    COMMENT COLUMN abandoned 'Part of requests: the stream was not read to its end',
    COMMENT COLUMN truncated 'Part of requests: cut off at the token limit',
    COMMENT COLUMN retries 'Attempts inside calls before the last; clients that do not report them add nothing',
    COMMENT COLUMN error_rate 'errors by requests of this row, 0 to 1; for another grouping divide the sums',
    COMMENT COLUMN cost_errors_usd 'Exact cost of the calls that ended in an error, USD';
