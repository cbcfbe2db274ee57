-- Grain: (day, tenant, service, provider, model, price_status). Reads: raw_requests; 90 days.
-- How sure the spend is: `exact` and `override` are prices, every other word names what stands in for
-- one, `unpriced` has no cost. `a_rule` is one of the rules; what stands behind ! in it are the doubts.
-- Adds up over everything. Always restrict day.

CREATE OR REPLACE VIEW ${database}.spend_by_price_status_day ${on_cluster} AS
SELECT
    toDate(r.started_at, 'UTC') AS day,
    r.tenant AS tenant,
    r.service AS service,
    r.provider AS provider,
    if(r.response_model = '', r.request_model, r.response_model) AS model,
    r.price_status AS price_status,
    count() AS requests,
    countIf(r.cost_pico_usd IS NULL) AS without_cost,
    sum(r.input_tokens) AS input_tokens,
    sum(r.output_tokens) AS output_tokens,
    usd_from_pico(sum(toInt128(r.cost_pico_usd))) AS cost_usd,
    sum(toInt128(r.cost_pico_usd)) AS cost_pico_usd,
    min(r.price_rule) AS a_rule
FROM ${database}.raw_requests AS r
GROUP BY day, tenant, service, provider, model, price_status
COMMENT 'Spend by UTC day, model and price_status: what is exact, what stands in, what has no price. From raw_requests, 90 days.';

ALTER TABLE ${database}.spend_by_price_status_day ${on_cluster}
    COMMENT COLUMN day 'UTC day of the beginning of the calls, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN price_status 'How sure the cost is: exact, override, or the word for what stands in',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN without_cost 'Calls without a cost; part of requests',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; NULL: no call reported any',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; NULL: no call reported any',
    COMMENT COLUMN cost_usd 'Exact sum of the costs, USD; NULL: none has one',
    COMMENT COLUMN cost_pico_usd 'Exact sum of the costs, 1e-12 USD; NULL: none has one',
    COMMENT COLUMN a_rule 'One of the rules that priced the calls';
