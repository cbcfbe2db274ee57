-- Rows of the ten-second and one-minute windows of a time, by grains of grain_us.
SELECT intDiv(us, {grain_us:Int64}) * {grain_us:Int64} AS start_us, count() AS rows
FROM
(
    SELECT toInt64(toUnixTimestamp(window_start)) * 1000000 AS us
    FROM ${database}.windows_10s
    WHERE window_start >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND window_start < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    UNION ALL
    SELECT toInt64(toUnixTimestamp(window_start)) * 1000000 AS us
    FROM ${database}.windows_1m
    WHERE window_start >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
        AND window_start < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
)
GROUP BY start_us
ORDER BY start_us
