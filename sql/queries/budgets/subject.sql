-- What one user, key, agent or run spent, in one statement, from the rows themselves: by hour in `hours`, by
-- minute in `minutes`; both are half-open ranges of epoch seconds on full minutes.
SELECT
    if(arrayExists(r -> second >= r.1 AND second < r.2, {minutes:Array(Tuple(Int64, Int64))}), 60, 3600) AS length_s,
    intDiv(toInt64(toUnixTimestamp(started_at)) AS second, length_s) * length_s AS start_s,
    sum(toInt128(ifNull(r.cost_pico_usd, 0))) AS cost_pico_usd,
    count() AS requests,
    countIf(isNull(r.cost_pico_usd)) AS unpriced
FROM ${database}.raw_requests AS r
WHERE started_at >= toDateTime(arrayMin(r -> r.1, arrayConcat({hours:Array(Tuple(Int64, Int64))}, {minutes:Array(Tuple(Int64, Int64))}) AS ranges), 'UTC')
    AND started_at < toDateTime(arrayMax(r -> r.2, ranges), 'UTC')
    AND arrayExists(r -> second >= r.1 AND second < r.2, ranges)
    AND ({kind:String} != 'user' OR user_hash = {subject:String})
    AND ({kind:String} != 'key' OR key_id = {subject:String})
    AND ({kind:String} != 'agent' OR if(agent_name = '', agent_id, agent_name) = {subject:String})
    AND ({kind:String} != 'run' OR run = {subject:String})
GROUP BY start_s, length_s
