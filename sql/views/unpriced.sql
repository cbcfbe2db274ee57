-- Grain: (day, tenant, service, provider, model, cause, reason). Reads: raw_requests; 90 days.
-- Calls that have no cost, and why: `usage missing` (nobody reported tokens or other units) or
-- `no price` (the card set of price_version knows no such model). The second is a gap to close in
-- prices.yaml; `reason` says which gap: unknown provider, unknown model, listed without rates, no rate for
-- what was used, beyond 64 bits. Calls with a stand-in for a price are in spend_by_price_status_day.

CREATE OR REPLACE VIEW ${database}.unpriced ${on_cluster} AS
SELECT
    toDate(r.started_at, 'UTC') AS day,
    r.tenant AS tenant,
    r.service AS service,
    r.provider AS provider,
    if(r.response_model = '', r.request_model, r.response_model) AS model,
    if(r.input_tokens IS NULL AND r.output_tokens IS NULL AND empty(r.other_units), 'usage missing', 'no price') AS cause,
    extract(r.price_rule, '^unpriced: ([^:]+)') AS reason,
    count() AS requests,
    countIf(r.status = 'error') AS errors,
    sum(r.input_tokens) AS input_tokens,
    sum(r.output_tokens) AS output_tokens,
    max(r.price_version) AS last_price_version,
    min(r.started_at) AS first_seen,
    max(r.started_at) AS last_seen
FROM ${database}.raw_requests AS r
WHERE r.cost_pico_usd IS NULL
GROUP BY day, tenant, service, provider, model, cause, reason
COMMENT 'Calls without a cost by day, model, cause (usage missing, no price) and reason. From raw_requests, 90 days.';
