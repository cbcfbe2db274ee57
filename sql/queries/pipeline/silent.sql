-- Services that reported in nearly every five minutes for hours, and then fell silent, in a day.
SELECT
    service,
    toUnixTimestamp64Micro(max(ingested_at)) AS last_us
FROM ${database}.raw_stats
WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND ingested_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
GROUP BY service
HAVING last_us < {until_us:Int64} - {silent_us:Int64}
    AND last_us - toUnixTimestamp64Micro(min(ingested_at)) >= {always_us:Int64}
    AND uniqExact(toStartOfFiveMinutes(ingested_at)) * 300000000 >= 0.95 * (last_us - toUnixTimestamp64Micro(min(ingested_at)))
ORDER BY service
