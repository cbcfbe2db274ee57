-- Requests without a price of all, by windows since a moment.
SELECT
    sum(unpriced) AS part,
    sum(requests) AS whole
FROM ${database}.windows_1m
WHERE window_start >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
