-- Grain: (tenant, run): one execution of an agent or job, else a conversation, else a trace.
-- Reads: subjects_1h, kind run; 90 days.
-- parent_run is the run that started it, where that was reported; `nesting` counts the runs above it and
-- `deepest_nesting` the levels of runs below it, at most 16. duration_s is from the first call's start to
-- the last call's end. For a time range of many runs ask subjects_1h by hour: this view reads all hours,
-- because a run may have begun in any of them.

CREATE OR REPLACE VIEW ${database}.runs ${on_cluster} AS
WITH RECURSIVE
    parents AS
    (
        SELECT tenant, subject AS run, max(parent) AS parent_run
        FROM ${database}.subjects_1h
        WHERE kind = 'run' AND parent != '' AND parent != subject
        GROUP BY tenant, run
    ),
    nested AS
    (
        SELECT tenant, run, parent_run AS above, toUInt8(1) AS levels
        FROM parents
        UNION ALL
        SELECT n.tenant, n.run, p.parent_run AS above, toUInt8(n.levels + 1) AS levels
        FROM nested AS n
        INNER JOIN parents AS p ON n.tenant = p.tenant AND n.above = p.run
        WHERE n.levels < 16
    ),
    sums AS
    (
        SELECT
            s.tenant AS tenant,
            s.subject AS run,
            max(s.parent) AS parent_run,
            max(s.agent) AS agent,
            max(s.agent_version) AS agent_version,
            max(s.user_hash) AS user_hash,
            max(s.service) AS service,
            sum(s.requests) AS requests,
            sum(s.errors) AS errors,
            sum(s.tool_calls) AS tool_calls,
            sum(s.input_tokens) AS input_tokens,
            sum(s.output_tokens) AS output_tokens,
            sum(s.unpriced) AS unpriced,
            sum(s.cost_pico_usd) AS cost_pico_usd,
            min(s.first_started_at) AS first_started_at,
            max(s.last_started_at) AS last_started_at,
            max(s.last_ended_at) AS last_ended_at
        FROM ${database}.subjects_1h AS s
        WHERE s.kind = 'run'
        GROUP BY tenant, run
        HAVING requests > 0
    )
SELECT
    s.tenant AS tenant,
    s.run AS run,
    s.parent_run AS parent_run,
    s.agent AS agent,
    s.agent_version AS agent_version,
    s.user_hash AS user_hash,
    s.service AS service,
    s.requests AS requests,
    s.errors AS errors,
    s.tool_calls AS tool_calls,
    s.input_tokens AS input_tokens,
    s.output_tokens AS output_tokens,
    s.unpriced AS unpriced,
    usd_from_pico(s.cost_pico_usd) AS cost_usd,
    s.cost_pico_usd AS cost_pico_usd,
    s.first_started_at AS first_started_at,
    s.last_started_at AS last_started_at,
    s.last_ended_at AS last_ended_at,
    dateDiff('microsecond', s.first_started_at, s.last_ended_at) / 1e6 AS duration_s,
    u.levels AS nesting,
    d.levels AS deepest_nesting
FROM sums AS s
LEFT JOIN (SELECT tenant, run, max(levels) AS levels FROM nested GROUP BY tenant, run) AS u
    ON s.tenant = u.tenant AND s.run = u.run
LEFT JOIN (SELECT tenant, above, max(levels) AS levels FROM nested GROUP BY tenant, above) AS d
    ON s.tenant = d.tenant AND s.run = d.above
COMMENT 'Runs of agents and jobs: calls, tools, tokens, spend, duration, nesting; one row each. From subjects_1h, 90 days.';

ALTER TABLE ${database}.runs ${on_cluster}
    COMMENT COLUMN tenant 'Customer or account the work is for; empty: none was named',
    COMMENT COLUMN run 'run_id, else conversation_id, else trace_id',
    COMMENT COLUMN parent_run 'Run that started it; empty: none was reported',
    COMMENT COLUMN agent 'Agent of the run',
    COMMENT COLUMN agent_version 'Version of the agent',
    COMMENT COLUMN user_hash 'User of the run, hashed by the producer',
    COMMENT COLUMN service 'Service of the run; of several the greatest name',
    COMMENT COLUMN requests 'Calls, however they ended',
    COMMENT COLUMN errors 'Calls that ended in an error; part of requests',
    COMMENT COLUMN tool_calls 'Tool calls that answers asked for',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; a call that reported none adds nothing',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; a call that reported none adds nothing',
    COMMENT COLUMN unpriced 'Calls without a cost; part of requests',
    COMMENT COLUMN cost_usd 'Exact cost of the priced calls, USD',
    COMMENT COLUMN cost_pico_usd 'Exact cost of the priced calls, 1e-12 USD',
    COMMENT COLUMN first_started_at 'When the first call began, UTC',
    COMMENT COLUMN last_started_at 'When the last call began, UTC',
    COMMENT COLUMN last_ended_at 'When the last call had ended, UTC',
    COMMENT COLUMN duration_s 'From the first call''s beginning to the last call''s end, s',
    COMMENT COLUMN nesting 'Runs above this one, at most 16',
    COMMENT COLUMN deepest_nesting 'Levels of runs below this one, at most 16';
