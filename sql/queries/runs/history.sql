-- What runs spent: peaks of the guard's rate windows and the whole, pico-USD, the latest first. And the peak of ten
-- minutes on steps that do not get on (core/guard/standstill.py), of runs that spent more than stalled_from in ten.
-- Runs with a call in [low_us, high_us), of which only those calls count. The latest 500 of each agent: of
-- those that end before from_us, and of each grain_us from there on.
-- A bucket is 10 s, a window its last 12 or 60 buckets: as core/guard/rules.py has them.
WITH
    buckets AS
    (
        SELECT
            tenant,
            run,
            intDiv(toUnixTimestamp64Micro(started_at), 10000000) AS bucket,
            argMinIf((agent_name, started_at), started_at, agent_name != '') AS named,
            max(started_at) AS last_at,
            sum(toInt128(ifNull(cost_pico_usd, 0))) AS spend
        FROM ${database}.raw_requests
        WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64})
            AND started_at < fromUnixTimestamp64Micro({high_us:Int64})
            AND run != ''
            AND ({tenant:String} = '' OR tenant = {tenant:String})
        GROUP BY tenant, run, bucket
    ),
    windows AS
    (
        SELECT
            tenant,
            run,
            named,
            last_at,
            spend,
            sum(spend) OVER (PARTITION BY tenant, run ORDER BY bucket RANGE BETWEEN 11 PRECEDING AND CURRENT ROW) AS in_2_minutes,
            sum(spend) OVER (PARTITION BY tenant, run ORDER BY bucket RANGE BETWEEN 59 PRECEDING AND CURRENT ROW) AS in_10_minutes
        FROM buckets
    ),
    sizes AS
    (
        SELECT
            tenant,
            run,
            intDiv(toUnixTimestamp64Micro(started_at), 10000000) AS bucket,
            toInt128(ifNull(cost_pico_usd, 0)) AS cost,
            toInt64(input_tokens) <= lagInFrame(toInt64(input_tokens), 1, toInt64(-1)) OVER (
                PARTITION BY tenant, run, agent_name, prompt_name, prompt_version ORDER BY started_at, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS is_stalled
        FROM ${database}.raw_requests
        WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64})
            AND started_at < fromUnixTimestamp64Micro({high_us:Int64})
            AND output_tokens > 0
            AND isNotNull(input_tokens)
            AND (tenant, run) IN (SELECT tenant, run FROM windows WHERE in_10_minutes > {stalled_from:Int64})
    ),
    stalled AS
    (
        SELECT
            tenant,
            run,
            sum(spend) OVER (PARTITION BY tenant, run ORDER BY bucket RANGE BETWEEN 59 PRECEDING AND CURRENT ROW) AS in_10_minutes,
            sum(steps) OVER (PARTITION BY tenant, run ORDER BY bucket RANGE BETWEEN 59 PRECEDING AND CURRENT ROW) AS steps_in_10_minutes
        FROM
        (
            SELECT tenant, run, bucket, sum(cost) AS spend, count() AS steps
            FROM sizes
            WHERE is_stalled
            GROUP BY tenant, run, bucket
        )
    ),
    stalled_peaks AS
    (
        SELECT tenant, run, max(in_10_minutes) AS peak_stalled
        FROM stalled
        WHERE steps_in_10_minutes >= {stalled_steps:Int64}
        GROUP BY tenant, run
    )
SELECT
    tenant,
    run,
    argMinIf(named.1, named.2, named.1 != '') AS agent,
    toUnixTimestamp64Micro(max(last_at)) AS last_us,
    max(in_2_minutes) AS peak_2_minutes,
    max(in_10_minutes) AS peak_10_minutes,
    sum(spend) AS whole,
    any(peak_stalled) AS peak_stalled
FROM windows
LEFT JOIN stalled_peaks USING (tenant, run)
GROUP BY tenant, run
ORDER BY last_us DESC, tenant DESC, run DESC
LIMIT 500 BY tenant, agent, if(last_us < {from_us:Int64}, -1, intDiv(last_us - {from_us:Int64}, {grain_us:Int64}))
