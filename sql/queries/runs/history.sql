-- What runs spent: peaks of the guard's rate windows and the whole, pico-USD, the latest first.
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
    )
SELECT
    tenant,
    run,
    argMinIf(named.1, named.2, named.1 != '') AS agent,
    toUnixTimestamp64Micro(max(last_at)) AS last_us,
    max(in_2_minutes) AS peak_2_minutes,
    max(in_10_minutes) AS peak_10_minutes,
    sum(spend) AS whole
FROM windows
GROUP BY tenant, run
ORDER BY last_us DESC, tenant DESC, run DESC
LIMIT 500 BY tenant, agent, if(last_us < {from_us:Int64}, -1, intDiv(last_us - {from_us:Int64}, {grain_us:Int64}))
