-- Grain: (hour, tenant, service, environment, team, feature, provider, model).
-- Reads: windows_1h, written by a materialised view behind the ingest job; 730 days.
-- Everything here adds up over any of the dimensions.

CREATE OR REPLACE VIEW ${database}.spend_by_hour ${on_cluster} AS
SELECT
    window_start AS hour,
    tenant,
    service,
    environment,
    team,
    feature,
    provider,
    model,
    sum(w.requests) AS requests,
    sum(w.unpriced) AS unpriced,
    sum(w.input_tokens) AS input_tokens,
    sum(w.output_tokens) AS output_tokens,
    sum(w.cache_read_tokens) AS cache_read_tokens,
    sum(w.cache_write_tokens) AS cache_write_tokens,
    sum(w.reasoning_tokens) AS reasoning_tokens,
    usd_from_pico(sum(w.cost_pico_usd)) AS cost_usd,
    usd_from_pico(sum(w.cost_errors_pico_usd)) AS cost_errors_usd,
    sum(w.cost_pico_usd) AS cost_pico_usd
FROM ${database}.windows_1h AS w
WHERE w.requests > 0
GROUP BY hour, tenant, service, environment, team, feature, provider, model
COMMENT 'Spend and tokens by hour and the dimensions people are charged by; additive. From windows_1h, 730 days.';
