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

ALTER TABLE ${database}.spend_by_model_day ${on_cluster}
    COMMENT COLUMN day 'UTC day of the beginning of the calls, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN unpriced 'Calls without a cost; part of requests',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; a call that reported none adds nothing',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; a call that reported none adds nothing',
    COMMENT COLUMN cache_read_tokens 'Tokens of input read from a cache; part of input_tokens',
    COMMENT COLUMN cache_write_tokens 'Tokens of input written to a cache; part of input_tokens',
    COMMENT COLUMN reasoning_tokens 'Tokens of output spent on reasoning; part of output_tokens',
    COMMENT COLUMN cost_usd 'Exact cost of the priced calls, USD',
    COMMENT COLUMN cost_input_usd 'Part of cost_usd, USD: input neither read from nor written to a cache',
    COMMENT COLUMN cost_cache_read_usd 'Part of cost_usd, USD: input read from a cache',
    COMMENT COLUMN cost_cache_write_usd 'Part of cost_usd, USD: input written to a cache',
    COMMENT COLUMN cost_output_usd 'Part of cost_usd, USD: output, reasoning included',
    COMMENT COLUMN cost_other_usd 'Part of cost_usd, USD: searches and other units that are not tokens',
    COMMENT COLUMN cost_errors_usd 'Part of cost_usd, USD: calls that ended in an error',
    COMMENT COLUMN cost_pico_usd 'Exact cost of the priced calls, 1e-12 USD';
