-- Sums of windows_10s by window, for windows that begin in [low_us, high_us).
SELECT
    toUnixTimestamp(window_start) AS window_start_s,
    sum(events) AS events,
    sum(input_tokens) + sum(output_tokens) AS tokens,
    sum(cost_pico_usd) AS cost_pico_usd
FROM ${database}.windows_10s
WHERE window_start >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
    AND window_start < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
GROUP BY window_start_s
