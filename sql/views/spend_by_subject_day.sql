-- Grain: (day, kind, subject, tenant, service). Reads: subjects_1h; 90 days.
-- Adds up over days, tenants and services, and over the subjects of one kind; never over kinds, since a call
-- counts under each of them. `(other)` holds what a batch had beyond the configured number of subjects.
-- Always restrict day and kind.

CREATE OR REPLACE VIEW ${database}.spend_by_subject_day ${on_cluster} AS
SELECT
    toDate(s.hour, 'UTC') AS day,
    kind,
    subject,
    tenant,
    service,
    sum(s.requests) AS requests,
    sum(s.errors) AS errors,
    sum(s.unpriced) AS unpriced,
    sum(s.tool_calls) AS tool_calls,
    sum(s.input_tokens) AS input_tokens,
    sum(s.output_tokens) AS output_tokens,
    usd_from_pico(sum(s.cost_pico_usd)) AS cost_usd,
    sum(s.cost_pico_usd) AS cost_pico_usd
FROM ${database}.subjects_1h AS s
GROUP BY day, kind, subject, tenant, service
HAVING requests > 0
COMMENT 'Spend by UTC day and user, key, agent, run, tool or MCP server; additive within one kind. From subjects_1h, 90 days.';

ALTER TABLE ${database}.spend_by_subject_day ${on_cluster}
    COMMENT COLUMN day 'UTC day of the beginning of the calls, inclusive',
    COMMENT COLUMN kind 'user, key, agent, run, tool or mcp_server; add up within one',
    COMMENT COLUMN subject 'Hash of the user, id of the key, name of the agent, …; (other): the rest',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN service 'Service that emits the event',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN errors 'Calls that ended in an error; part of requests',
    COMMENT COLUMN unpriced 'Calls without a cost; part of requests',
    COMMENT COLUMN tool_calls 'Tool calls that answers asked for',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; a call that reported none adds nothing',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; a call that reported none adds nothing',
    COMMENT COLUMN cost_usd 'Exact cost of the priced calls, USD',
    COMMENT COLUMN cost_pico_usd 'Exact cost of the priced calls, 1e-12 USD';
