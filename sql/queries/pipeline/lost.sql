-- Events that producers dropped or failed to deliver, of all that they emitted, by the reports since a moment.
-- Counters run from the start of a producer: one that started since then is counted from zero.
SELECT
    sum(lost) AS part,
    sum(emitted_since) AS whole
FROM
(
    SELECT
        producer_id,
        max(toUnixTimestamp64Micro(started_at) - 1000 * ifNull(uptime_ms, 0)) >= {since_us:Int64} AS is_new,
        max(ifNull(dropped, 0) + ifNull(failed, 0)) - if(is_new, 0, min(ifNull(dropped, 0) + ifNull(failed, 0))) AS lost,
        max(ifNull(emitted, 0)) - if(is_new, 0, min(ifNull(emitted, 0))) AS emitted_since
    FROM ${database}.raw_stats
    WHERE started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    GROUP BY producer_id
)
