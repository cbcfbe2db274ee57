-- Grain: (hour, tenant, service, environment, operation, provider, region, model). Reads: raw_requests; 90 days.
-- The region is the one that the call reported; '' where it reported none. Histograms as in latency_by_prompt_hour.
-- Always restrict hour: days prune first.

CREATE OR REPLACE VIEW ${database}.latency_by_region_hour ${on_cluster} AS
SELECT
    toStartOfHour(r.started_at, 'UTC') AS hour,
    r.tenant AS tenant,
    r.service AS service,
    r.environment AS environment,
    r.operation AS operation,
    r.provider AS provider,
    r.region AS region,
    if(r.response_model = '', r.request_model, r.response_model) AS model,
    count() AS requests,
    sum(toUInt64(round(r.duration_ms * 1000))) AS duration_us_sum,
    sumMap(hist_of(r.duration_ms)) AS latency_hist,
    count(r.ttft_ms) AS ttft_count,
    sumMap(hist_of(r.ttft_ms)) AS ttft_hist
FROM ${database}.raw_requests AS r
GROUP BY hour, tenant, service, environment, operation, provider, region, model
COMMENT 'Histograms of latency and time to first token by hour, region and model: p95_from_hist(sumMap(latency_hist)). From raw_requests, 90 days. Restrict hour.';

ALTER TABLE ${database}.latency_by_region_hour ${on_cluster}
    COMMENT COLUMN hour 'Beginning of the hour, UTC, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN environment 'production, staging, …; empty: none was named',
    COMMENT COLUMN operation 'chat, embeddings, …',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN region 'Cloud region that the call reported; empty: none',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN duration_us_sum 'Sum of durations in µs, over requests',
    COMMENT COLUMN latency_hist 'Histogram of durations in ms, over requests: p95_from_hist(sumMap(latency_hist))',
    COMMENT COLUMN ttft_count 'Calls that reported a time to first token; part of requests',
    COMMENT COLUMN ttft_hist 'Histogram of times to first token in ms, over ttft_count: p95_from_hist(sumMap(ttft_hist))';
