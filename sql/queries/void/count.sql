-- How many rows are taken out now, of events that began in a time, and what money went with them.
SELECT
    count() AS rows,
    sum(toInt128(ifNull(cost_pico_usd, 0))) AS cost_pico_usd
FROM ${database}.voided_events
WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
