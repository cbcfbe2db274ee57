-- Grain: (day, tenant, provider, model). Reads: windows_1d; 3,650 days.
-- The five cost classes add up to cost_usd. Everything adds up over any of the dimensions.

CREATE OR REPLACE VIEW ${database}.spend_by_model_day ${on_cluster} AS
SELECT
    toDate(window_start, 'UTC') AS day,
    tenant,
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
    usd_from_pico(sum(w.cost_input_pico_usd)) AS cost_input_usd,
    usd_from_pico(sum(w.cost_cache_read_pico_usd)) AS cost_cache_read_usd,
    usd_from_pico(sum(w.cost_cache_write_pico_usd)) AS cost_cache_write_usd,
    usd_from_pico(sum(w.cost_output_pico_usd)) AS cost_output_usd,
    usd_from_pico(sum(w.cost_other_pico_usd)) AS cost_other_usd,
    usd_from_pico(sum(w.cost_errors_pico_usd)) AS cost_errors_usd,
    sum(w.cost_pico_usd) AS cost_pico_usd
FROM ${database}.windows_1d AS w
WHERE w.requests > 0
GROUP BY day, tenant, provider, model
COMMENT 'Spend by UTC day and model, split into cost classes; additive. From windows_1d, 3,650 days.';
