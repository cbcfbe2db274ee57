-- Requests by subject less subjects_1h of the day that begins at day_start_us, all kinds together:
-- money, and requests without a cost.
SELECT
    raw.1 - subjects.1 AS cost_pico_usd,
    raw.2 - subjects.2 AS unpriced
FROM
(
    SELECT
    (
        SELECT (sum(toInt128(ifNull(cost_pico_usd, 0))), toInt64(countIf(cost_pico_usd IS NULL)))
        FROM ${database}.request_subjects
        WHERE started_at >= fromUnixTimestamp64Micro({day_start_us:Int64}, 'UTC')
            AND started_at < fromUnixTimestamp64Micro({day_start_us:Int64}, 'UTC') + INTERVAL 1 DAY
    ) AS raw,
    (
        SELECT (sum(cost_pico_usd), toInt64(sum(unpriced)))
        FROM ${database}.subjects_1h
        WHERE hour >= fromUnixTimestamp64Micro({day_start_us:Int64}, 'UTC')
            AND hour < fromUnixTimestamp64Micro({day_start_us:Int64}, 'UTC') + INTERVAL 1 DAY
    ) AS subjects
)
