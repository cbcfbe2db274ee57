-- Grain: (day, tenant, agent). Reads: subjects_1h, kinds agent and run; 90 days.
-- requests, tool_calls, tokens and money add up over days; runs do not (a run may cross midnight), nor do
-- versions and parents, of which the greatest is shown.
-- Always restrict day.

CREATE OR REPLACE VIEW ${database}.agents ${on_cluster} AS
SELECT
    toDate(s.hour, 'UTC') AS day,
    s.tenant AS tenant,
    if(s.kind = 'agent', s.subject, toString(s.agent)) AS agent,
    max(if(s.kind = 'agent', toString(s.agent_version), '')) AS agent_version,
    max(if(s.kind = 'agent', s.parent, '')) AS parent_agent,
    uniqExactIf(s.subject, s.kind = 'run') AS runs,
    sumIf(s.requests, s.kind = 'agent') AS requests,
    sumIf(s.errors, s.kind = 'agent') AS errors,
    sumIf(s.tool_calls, s.kind = 'agent') AS tool_calls,
    sumIf(s.input_tokens, s.kind = 'agent') AS input_tokens,
    sumIf(s.output_tokens, s.kind = 'agent') AS output_tokens,
    sumIf(s.unpriced, s.kind = 'agent') AS unpriced,
    usd_from_pico(sumIf(s.cost_pico_usd, s.kind = 'agent')) AS cost_usd,
    sumIf(s.cost_pico_usd, s.kind = 'agent') AS cost_pico_usd,
    minIf(s.first_started_at, s.kind = 'agent') AS first_started_at,
    maxIf(s.last_ended_at, s.kind = 'agent') AS last_ended_at
FROM ${database}.subjects_1h AS s
WHERE s.kind = 'agent' OR (s.kind = 'run' AND s.agent != '')
GROUP BY day, tenant, agent
HAVING requests > 0
COMMENT 'Agents by UTC day: runs, calls, tools, tokens, spend. From subjects_1h, 90 days. Restrict day.';

ALTER TABLE ${database}.agents ${on_cluster}
    COMMENT COLUMN day 'UTC day of the beginning of the calls, inclusive',
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN agent 'Name of the agent, else its id',
    COMMENT COLUMN agent_version 'Greatest version that was reported',
    COMMENT COLUMN parent_agent 'Greatest name of an agent that started it; empty: none',
    COMMENT COLUMN runs 'Distinct runs of the day; not additive over days',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN errors 'Calls that ended in an error; part of requests',
    COMMENT COLUMN tool_calls 'Tool calls that answers asked for',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; a call that reported none adds nothing',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; a call that reported none adds nothing',
    COMMENT COLUMN unpriced 'Calls without a cost; part of requests',
    COMMENT COLUMN cost_usd 'Exact cost of the priced calls, USD',
    COMMENT COLUMN cost_pico_usd 'Exact cost of the priced calls, 1e-12 USD',
    COMMENT COLUMN first_started_at 'When the first call began, UTC',
    COMMENT COLUMN last_ended_at 'When the last call had ended, UTC';
