-- Requests of other price versions that started in [from_us, to_us), counted by window.
SELECT
    intDiv(toUnixTimestamp64Micro(started_at), {window_us:Int64}) * {window_us:Int64} AS window_start_us,
    count() AS requests
FROM ${database}.raw_requests
WHERE started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
    AND price_version != {price_version:String}
GROUP BY window_start_us
ORDER BY window_start_us
