-- Runs with a call in [low_us, high_us), one row each: flagged ones first, then by spend.
-- A run counts from since_us on. flagged_tenants and flagged_runs are pairs.
SELECT
    tenant,
    run,
    argMinIf(agent_name, started_at, agent_name != '') AS agent,
    arraySort(groupUniqArrayIf(8)(agent_name, agent_name != '')) AS agents,
    argMinIf(user_hash, started_at, user_hash != '') AS user,
    argMin(service, started_at) AS service,
    argMaxIf(parent_run_id, started_at, parent_run_id != '') AS parent_run,
    count() AS calls,
    countIf(status = 'error') AS errors,
    countIf(price_status = 'unpriced') AS unpriced,
    sum(ifNull(tool_calls_count, 0)) AS tool_calls,
    arraySort(groupUniqArrayIf(8)(tool_name, tool_name != '')) AS tools,
    sum(ifNull(input_tokens, 0)) AS input_tokens,
    sum(ifNull(output_tokens, 0)) AS output_tokens,
    sum(toInt128(ifNull(cost_pico_usd, 0))) AS cost_pico_usd,
    toUnixTimestamp64Micro(min(started_at)) AS first_us,
    toUnixTimestamp64Micro(max(started_at)) AS last_us,
    toInt64(max(toUnixTimestamp64Micro(started_at) + ifNull(duration_ms, 0) * 1000)) AS ended_us,
    count() OVER () AS found_runs,
    uniqExact(agent) OVER () AS found_agents,
    sum(cost_pico_usd) OVER () AS found_cost_pico_usd
FROM ${database}.raw_requests
WHERE started_at >= fromUnixTimestamp64Micro({since_us:Int64})
    AND started_at < fromUnixTimestamp64Micro({high_us:Int64})
    AND run != ''
    AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY tenant, run
HAVING last_us >= {low_us:Int64}
    AND ({agent:String} = '' OR agent = {agent:String})
    AND ({only_flagged:Int64} = 0 OR has(arrayZip({flagged_tenants:Array(String)}, {flagged_runs:Array(String)}), (tenant, run)))
ORDER BY has(arrayZip({flagged_tenants:Array(String)}, {flagged_runs:Array(String)}), (tenant, run)) DESC, cost_pico_usd DESC, calls DESC, tenant, run
LIMIT {most:Int64}
