-- Grain: (day, tenant, service, operation, provider, model, cause, reason). Reads: raw_requests; 90 days.
-- Calls that have no cost, and why: `usage missing` (no tokens or other units were reported) or
-- `no price` (the card set of price_version knows no such model). The second is a gap to close in
-- prices.yaml; `reason` says which gap: unknown provider, unknown model, listed without rates, no rate for
-- what was used, beyond 64 bits. Calls with a stand-in for a price are in spend_by_price_status_day.

CREATE OR REPLACE VIEW ${database}.unpriced ${on_cluster} AS
SELECT
    toDate(r.started_at, 'UTC') AS day,
    r.tenant AS tenant,
    r.service AS service,
    r.operation AS operation,
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
GROUP BY day, tenant, service, operation, provider, model, cause, reason
COMMENT 'Calls without a cost by day, operation, model, cause (usage missing, no price) and reason. From raw_requests, 90 days.';

ALTER TABLE ${database}.unpriced ${on_cluster}
    COMMENT COLUMN day 'UTC day of the beginning of the calls, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN operation 'chat, embeddings, …',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN cause 'usage missing (no tokens or other units were reported) or no price',
    COMMENT COLUMN reason 'Which gap of the price cards; empty where usage is missing',
    COMMENT COLUMN requests 'Calls without a cost',
    COMMENT COLUMN errors 'Calls that ended in an error; part of requests',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; NULL: no call reported any',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; NULL: no call reported any',
    COMMENT COLUMN last_price_version 'Greatest price version that knew no price',
    COMMENT COLUMN first_seen 'When the first such call began, UTC',
    COMMENT COLUMN last_seen 'When the last such call began, UTC';
