-- Grain: (day, tenant, service, environment, provider, region, model). Reads: raw_requests; 90 days.
-- The region is the one that the call reported; '' where it reported none. Adds up over any of the dimensions.
-- Always restrict day: days prune first.

CREATE OR REPLACE VIEW ${database}.spend_by_region_day ${on_cluster} AS
SELECT
    toDate(r.started_at, 'UTC') AS day,
    r.tenant AS tenant,
    r.service AS service,
    r.environment AS environment,
    r.provider AS provider,
    r.region AS region,
    if(r.response_model = '', r.request_model, r.response_model) AS model,
    count() AS requests,
    countIf(r.cost_pico_usd IS NULL) AS unpriced,
    sum(ifNull(r.input_tokens, 0)) AS input_tokens,
    sum(ifNull(r.output_tokens, 0)) AS output_tokens,
    usd_from_pico(sum(toInt128(ifNull(r.cost_pico_usd, 0)))) AS cost_usd,
    sum(toInt128(ifNull(r.cost_pico_usd, 0))) AS cost_pico_usd
FROM ${database}.raw_requests AS r
GROUP BY day, tenant, service, environment, provider, region, model
COMMENT 'Spend and tokens by UTC day and region; additive. From raw_requests, 90 days. Restrict day.';

ALTER TABLE ${database}.spend_by_region_day ${on_cluster}
    COMMENT COLUMN day 'UTC day of the beginning of the calls, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN environment 'production, staging, …; empty: none was named',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN region 'Cloud region that the call reported; empty: none',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN unpriced 'Calls without a cost; part of requests',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; a call that reported none adds nothing',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; a call that reported none adds nothing',
    COMMENT COLUMN cost_usd 'Exact cost of the priced calls, USD',
    COMMENT COLUMN cost_pico_usd 'Exact cost of the priced calls, 1e-12 USD';
