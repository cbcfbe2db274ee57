-- Silences that are not over.
SELECT
    id,
    matchers,
    toUnixTimestamp64Micro(start_at) AS start_us,
    toUnixTimestamp64Micro(end_at) AS end_us,
    days,
    begin_minute,
    length_minutes,
    zone,
    author,
    reason
FROM ${database}.silences FINAL
WHERE end_at > fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
ORDER BY start_at, id
