-- Sums of subjects_1h by kind and hour, for hours that begin in [low_us, high_us).
SELECT
    kind,
    toUnixTimestamp(hour) AS hour_s,
    sum(requests) AS requests,
    sum(input_tokens) + sum(output_tokens) AS tokens,
    sum(cost_pico_usd) AS cost_pico_usd
FROM ${database}.subjects_1h
WHERE hour >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
    AND hour < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
GROUP BY kind, hour_s
