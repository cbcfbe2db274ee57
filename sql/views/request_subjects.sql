-- Grain: one request and one subject that it is counted under. Key: kind, and the place in the log.
-- Reads: raw_requests, written by the ingest job; 90 days.
-- What subjects_1h sums: a request appears once for each kind of which it names a subject, so count and add
-- up within one kind only. Calls from before a kind was switched on do not appear under it.
-- Always restrict started_at: days prune first.

CREATE OR REPLACE VIEW ${database}.request_subjects ${on_cluster} AS
SELECT
    named.1 AS kind,
    named.2 AS subject,
    started_at,
    tenant,
    service,
    environment,
    feature,
    team,
    event_id,
    if(response_model = '', request_model, response_model) AS model,
    status,
    error_type,
    duration_ms,
    input_tokens,
    output_tokens,
    tool_calls_count,
    usd_from_pico(cost_pico_usd) AS cost_usd,
    cost_pico_usd,
    user_hash,
    agent_name,
    agent_version,
    parent_agent_name,
    run,
    parent_run_id,
    tool_name,
    log_id,
    _topic,
    _partition,
    _offset,
    _idx
FROM ${database}.raw_requests
ARRAY JOIN
    [
        ('user', user_hash),
        ('key', toString(key_id)),
        ('agent', if(agent_name != '', toString(agent_name), agent_id)),
        ('run', run),
        ('tool', toString(tool_name)),
        ('mcp_server', toString(mcp_server))
    ] AS named
WHERE named.2 != '' AND has(splitByChar(',', toString(subject_kinds)), named.1)
COMMENT 'Requests under every user, key, agent, run, tool and MCP server they are counted under: what subjects_1h sums. Count within one kind only. 90 days.';

ALTER TABLE ${database}.request_subjects ${on_cluster}
    COMMENT COLUMN kind 'user, key, agent, run, tool or mcp_server; count within one',
    COMMENT COLUMN subject 'Hash of the user, id of the key, name of the agent, …',
    COMMENT COLUMN started_at 'When it began, UTC, to the microsecond',
    COMMENT COLUMN tenant 'Customer or account the work is for',
    COMMENT COLUMN service 'Service that emits the event [service.name]',
    COMMENT COLUMN environment 'production, staging, … [deployment.environment.name]',
    COMMENT COLUMN feature 'Product feature the work belongs to',
    COMMENT COLUMN team 'Team that answers for the spend',
    COMMENT COLUMN event_id 'Identity of the event: a UUID, version 7 recommended',
    COMMENT COLUMN model 'Model that answered, or that was asked for where none is known to have answered',
    COMMENT COLUMN status 'How it ended',
    COMMENT COLUMN error_type 'Kind of failure: rate_limit, timeout, server_error, … [error.type]',
    COMMENT COLUMN duration_ms 'From the call to the last byte [gen_ai.client.operation.duration, in ms]',
    COMMENT COLUMN input_tokens 'All input tokens, caches included; NULL: not reported',
    COMMENT COLUMN output_tokens 'All output tokens, reasoning included; NULL: not reported',
    COMMENT COLUMN tool_calls_count 'Tool calls the answer asked for',
    COMMENT COLUMN cost_usd 'Exact cost in USD; NULL: unpriced',
    COMMENT COLUMN cost_pico_usd 'Exact cost in 1e-12 USD, the sum of the five classes; NULL: unpriced',
    COMMENT COLUMN user_hash 'End user, hashed by the producer [user.id, hashed]',
    COMMENT COLUMN agent_name 'Agent [gen_ai.agent.name]',
    COMMENT COLUMN agent_version 'Version of the agent [gen_ai.agent.version]',
    COMMENT COLUMN parent_agent_name 'Agent that started this agent',
    COMMENT COLUMN run 'run_id, else conversation_id, else trace_id',
    COMMENT COLUMN parent_run_id 'Run that started this run',
    COMMENT COLUMN tool_name 'Tool that led here [gen_ai.tool.name]',
    COMMENT COLUMN log_id 'Incarnation of the log that the event came from',
    COMMENT COLUMN _topic 'Topic that it came from',
    COMMENT COLUMN _partition 'Partition of the topic',
    COMMENT COLUMN _offset 'Offset of the Kafka record',
    COMMENT COLUMN _idx 'Place of the event inside its record, from 0';
