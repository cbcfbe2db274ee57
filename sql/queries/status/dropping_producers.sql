-- Producers that dropped events since a moment, by what their counter rose. Counters run from the
-- start of a producer: one that started after the moment is counted from 0.
SELECT
    service,
    producer_id,
    toUInt64(max(s.dropped) - if(min(s.started_at) - toIntervalMillisecond(argMin(s.uptime_ms, s.started_at))
        >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC'), 0, min(s.dropped))) AS dropped
FROM ${database}.raw_stats AS s
WHERE started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
GROUP BY service, producer_id
HAVING dropped > 0
ORDER BY dropped DESC, service, producer_id
