-- Grain: (minute, tenant, service, environment, operation, provider, model).
-- Reads: windows_1m; 90 days.
-- Percentiles neither add up nor average, so there is none here: histograms add up, over any minutes and dimensions.
-- p95_from_hist(sumMap(latency_hist)) is within 1 % of the value that it stands for, NULL where nothing was measured.

CREATE OR REPLACE VIEW ${database}.latency_by_minute ${on_cluster} AS
SELECT
    window_start AS minute,
    tenant,
    service,
    environment,
    operation,
    provider,
    model,
    sum(w.requests) AS requests,
    sum(w.duration_us_sum) AS duration_us_sum,
    sumMap(w.latency_hist) AS latency_hist,
    sum(w.ttft_count) AS ttft_count,
    sumMap(w.ttft_hist) AS ttft_hist,
    sumMap(w.output_tps_hist) AS output_tps_hist
FROM ${database}.windows_1m AS w
WHERE w.requests > 0
GROUP BY minute, tenant, service, environment, operation, provider, model
COMMENT 'Histograms of latency, time to first token and output speed by minute: p95_from_hist(sumMap(latency_hist)). From windows_1m, 90 days.';

ALTER TABLE ${database}.latency_by_minute ${on_cluster}
    COMMENT COLUMN minute 'Beginning of the minute, UTC, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN environment 'production, staging, …; empty: none was named',
    COMMENT COLUMN operation 'chat, embeddings, …',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN duration_us_sum 'Sum of durations in µs, over requests',
    COMMENT COLUMN latency_hist 'Histogram of durations in ms, over requests: p95_from_hist(sumMap(latency_hist))',
    COMMENT COLUMN ttft_count 'Calls that reported a time to first token; part of requests',
    COMMENT COLUMN ttft_hist 'Histogram of times to first token in ms, over ttft_count: p95_from_hist(sumMap(ttft_hist))',
    COMMENT COLUMN output_tps_hist 'Histogram of output tokens per second: p50_from_hist(sumMap(output_tps_hist))';
