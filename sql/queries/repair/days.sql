-- Starts of the UTC days with raw rows or windows of a time.
SELECT DISTINCT toInt64(toUnixTimestamp(toDateTime(day, 'UTC'))) * 1000000 AS start_us
FROM
(
    SELECT DISTINCT toDate(started_at) AS day
    FROM ${database}.raw_requests
    WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(started_at) AS day
    FROM ${database}.raw_evaluations
    WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(started_at) AS day
    FROM ${database}.raw_feedback
    WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(started_at) AS day
    FROM ${database}.raw_changes
    WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(started_at) AS day
    FROM ${database}.raw_stats
    WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(window_start) AS day
    FROM ${database}.windows_10s
    WHERE window_start >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND window_start < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(hour) AS day
    FROM ${database}.subjects_1h
    WHERE hour >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND hour < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(window_start) AS day
    FROM ${database}.windows_1m
    WHERE window_start >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND window_start < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(window_start) AS day
    FROM ${database}.windows_1h
    WHERE window_start >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND window_start < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT toDate(window_start) AS day
    FROM ${database}.windows_1d
    WHERE window_start >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND window_start < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
)
ORDER BY start_us
