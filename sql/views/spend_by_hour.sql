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

ALTER TABLE ${database}.spend_by_hour ${on_cluster}
    COMMENT COLUMN hour 'Beginning of the hour, UTC, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN environment 'production, staging, …; empty: none was named',
    COMMENT COLUMN team 'Team that answers for the spend; empty: none was named',
    COMMENT COLUMN feature 'Product feature the work belongs to; empty: none was named',
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
    COMMENT COLUMN cost_errors_usd 'Part of cost_usd, USD: calls that ended in an error',
    COMMENT COLUMN cost_pico_usd 'Exact cost of the priced calls, 1e-12 USD';
