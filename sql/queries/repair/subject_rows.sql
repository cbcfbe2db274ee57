-- Requests that are counted by subject, and rows of subjects_1h, of a time, by hours.
SELECT toInt64(toUnixTimestamp(hour)) * 1000000 AS start_us, count() AS rows
FROM
(
    SELECT toStartOfHour(started_at, 'UTC') AS hour
    FROM ${database}.raw_requests
    WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
        AND subject_kinds != ''
    UNION ALL
    SELECT hour
    FROM ${database}.subjects_1h
    WHERE hour >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND hour < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
)
GROUP BY start_us
ORDER BY start_us
