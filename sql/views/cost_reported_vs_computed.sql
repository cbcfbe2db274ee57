-- Grain: (day, tenant, service, provider, model, source). Reads: raw_requests; 90 days.
-- The cost that others report (source: a provider, a gateway, a coding agent) beside that of the cards. Only calls that
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
    usd_from_pico(sumIf(toInt128(r.reported_cost_pico_usd), r.cost_pico_usd IS NOT NULL)) AS reported_usd,
    usd_from_pico(sum(toInt128(r.cost_pico_usd))) AS computed_usd,
    usd_from_pico(sum(toInt128(r.cost_pico_usd) - r.reported_cost_pico_usd)) AS difference_usd,
    usd_from_pico(sumIf(toInt128(r.reported_cost_pico_usd), r.cost_pico_usd IS NULL)) AS reported_unpriced_usd
FROM ${database}.raw_requests AS r
WHERE r.reported_cost_pico_usd IS NOT NULL
GROUP BY day, tenant, service, provider, model, source
COMMENT 'Cost as others report it beside the computed cost, by UTC day, model and source; additive. From raw_requests, 90 days.';

ALTER TABLE ${database}.cost_reported_vs_computed ${on_cluster}
    COMMENT COLUMN day 'UTC day of the beginning of the calls, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN provider 'Who was called',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN source 'Who reported: a provider, a gateway or a coding agent',
    COMMENT COLUMN requests 'Calls with a reported cost',
    COMMENT COLUMN compared 'Part of requests: calls that have a computed cost too',
    COMMENT COLUMN unpriced 'Part of requests: calls without a computed cost',
    COMMENT COLUMN differing 'Part of compared: the two costs differ by more than 1 %',
    COMMENT COLUMN reported_usd 'Reported cost of the compared calls, USD',
    COMMENT COLUMN computed_usd 'Computed cost of the compared calls, USD',
    COMMENT COLUMN difference_usd 'computed_usd less reported_usd, USD',
    COMMENT COLUMN reported_unpriced_usd 'Reported cost of the unpriced calls, USD';
