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
    usd_from_pico(sum(r.cost_pico_usd)) AS cost_usd,
    sum(r.cost_pico_usd) AS cost_pico_usd,
    min(r.price_rule) AS a_rule
FROM ${database}.raw_requests AS r
GROUP BY day, tenant, service, provider, model, price_status
COMMENT 'Spend by UTC day, model and price_status: what is exact, what stands in, what has no price. From raw_requests, 90 days.';
