-- Calls of the runs that have one in [low_us, high_us), from since_us on, in order of event time.
-- Only runs that can break a rule: more than min_calls calls, or more spend than min_spend.
-- input_tokens is NULL where equal sizes prove nothing: no text came back, as from embeddings.
SELECT
    tenant,
    run,
    toUnixTimestamp64Micro(started_at) AS at_us,
    agent_name AS agent,
    user_hash AS user,
    ifNull(cost_pico_usd, 0) AS cost_pico_usd,
    toInt64(ifNull(input_tokens, 0) + ifNull(output_tokens, 0)) AS tokens,
    toInt64(status = 'error') AS errors,
    tool_name AS tool,
    concat(prompt_name, ' ', prompt_version) AS prompt,
    if(output_tokens > 0, toInt64(input_tokens), NULL) AS input_tokens,
    service,
    environment,
    if(response_model != '', response_model, request_model) AS model,
    prompt_name
FROM ${database}.raw_requests
WHERE started_at >= fromUnixTimestamp64Micro({since_us:Int64})
    AND started_at < fromUnixTimestamp64Micro({high_us:Int64})
    AND (tenant, run) IN
    (
        SELECT tenant, run
        FROM ${database}.raw_requests
        WHERE started_at >= fromUnixTimestamp64Micro({since_us:Int64})
            AND started_at < fromUnixTimestamp64Micro({high_us:Int64})
            AND run != ''
            AND ({tenant:String} = '' OR tenant = {tenant:String})
        GROUP BY tenant, run
        HAVING max(started_at) >= fromUnixTimestamp64Micro({low_us:Int64})
            AND (count() > {min_calls:Int64} OR sum(toInt128(ifNull(cost_pico_usd, 0))) > {min_spend:Int64})
    )
ORDER BY at_us, tenant, run, event_id
