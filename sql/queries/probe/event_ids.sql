-- The ids of all requests that began at `since_us` or later.
SELECT toString(event_id) AS event_id
FROM ${database}.raw_requests
WHERE started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
