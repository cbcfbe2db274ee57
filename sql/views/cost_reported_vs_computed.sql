-- Grain: (day, tenant, service, provider, model, source). Reads: raw_requests; 90 days.
-- What others say calls cost (source: a provider, a gateway, a coding agent) beside what the cards say. Only calls that
-- have both are compared: `compared` of them, with their two sums and the difference, computed less reported; calls
-- whose two costs differ by more than 1 % are `differing`. Calls without a computed cost are `unpriced`, and what is
-- reported of them is in reported_unpriced_usd. Everything adds up over any of the dimensions.

CREATE OR REPLACE VIEW ${database}.cost_reported_vs_computed ${on_cluster} AS
SELECT
    toDate(r.started_at, 'UTC') AS day,
    r.tenant AS tenant,
    r.service AS service,
    r.provider AS provider,
    if(r.response_model = '', r.request_model, r.response_model) AS model,
    r.reported_cost_source AS source,
    count() AS requests,
    countIf(r.cost_pico_usd IS NOT NULL) AS compared,
    countIf(r.cost_pico_usd IS NULL) AS unpriced,
    countIf(abs(r.cost_pico_usd - r.reported_cost_pico_usd) * 100 > r.reported_cost_pico_usd) AS differing,
    usd_from_pico(sumIf(r.reported_cost_pico_usd, r.cost_pico_usd IS NOT NULL)) AS reported_usd,
    usd_from_pico(sum(r.cost_pico_usd)) AS computed_usd,
    usd_from_pico(sum(r.cost_pico_usd - r.reported_cost_pico_usd)) AS difference_usd,
    usd_from_pico(sumIf(r.reported_cost_pico_usd, r.cost_pico_usd IS NULL)) AS reported_unpriced_usd
FROM ${database}.raw_requests AS r
WHERE r.reported_cost_pico_usd IS NOT NULL
GROUP BY day, tenant, service, provider, model, source
COMMENT 'Cost as others report it beside the computed cost, by UTC day, model and source; additive. From raw_requests, 90 days.';
