-- Sums of every rollup by day, for windows that begin in [low_us, high_us): whole days.
SELECT
    table_name,
    toUnixTimestamp(toStartOfDay(window_start, 'UTC')) AS day_start_s,
    sum(events) AS events,
    sum(cost_pico_usd) AS cost_pico_usd
FROM
(
    SELECT 'windows_1m' AS table_name, window_start, events, cost_pico_usd FROM ${database}.windows_1m
    UNION ALL
    SELECT 'windows_1h' AS table_name, window_start, events, cost_pico_usd FROM ${database}.windows_1h
    UNION ALL
    SELECT 'windows_1d' AS table_name, window_start, events, cost_pico_usd FROM ${database}.windows_1d
)
WHERE window_start >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
    AND window_start < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
GROUP BY table_name, day_start_s
