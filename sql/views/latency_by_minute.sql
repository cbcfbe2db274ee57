-- Grain: (minute, tenant, service, environment, operation, provider, model).
-- Reads: windows_1m; 90 days.
-- Percentiles do not add up and do not average: for another grouping ask windows_1m itself, e.g.
-- p95_from_hist(sumMap(latency_hist)). NULL where nothing was measured in the minute.

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
    sum(w.duration_us_sum) / sum(w.requests) / 1000 AS latency_mean_ms,
    p50_from_hist(sumMap(w.latency_hist)) AS latency_p50_ms,
    p90_from_hist(sumMap(w.latency_hist)) AS latency_p90_ms,
    p95_from_hist(sumMap(w.latency_hist)) AS latency_p95_ms,
    p99_from_hist(sumMap(w.latency_hist)) AS latency_p99_ms,
    sum(w.ttft_count) AS ttft_count,
    p50_from_hist(sumMap(w.ttft_hist)) AS ttft_p50_ms,
    p95_from_hist(sumMap(w.ttft_hist)) AS ttft_p95_ms,
    p99_from_hist(sumMap(w.ttft_hist)) AS ttft_p99_ms,
    p50_from_hist(sumMap(w.output_tps_hist)) AS output_tps_p50
FROM ${database}.windows_1m AS w
WHERE w.requests > 0
GROUP BY minute, tenant, service, environment, operation, provider, model
COMMENT 'Latency, time to first token and output speed by minute, percentiles within 1 %; not additive. From windows_1m, 90 days.';
