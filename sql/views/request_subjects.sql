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
