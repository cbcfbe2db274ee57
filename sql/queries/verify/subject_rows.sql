-- Requests summed as subjects_1h sums them, by kind and hour, for hours that begin in
-- [low_us, high_us): those of finished batches, and those of batches in flight (see rows_by_window).
WITH e._offset < d.position AS is_done
SELECT
    e.kind AS kind,
    toUnixTimestamp(toStartOfHour(e.started_at, 'UTC')) AS hour_s,
    countIf(is_done) AS done_events,
    sumIf(ifNull(e.input_tokens, 0) + ifNull(e.output_tokens, 0), is_done) AS done_tokens,
    sumIf(toInt128(ifNull(e.cost_pico_usd, 0)), is_done) AS done_cost_pico_usd,
    countIf(NOT is_done) AS in_flight_events,
    sumIf(ifNull(e.input_tokens, 0) + ifNull(e.output_tokens, 0), NOT is_done) AS in_flight_tokens,
    sumIf(toInt128(ifNull(e.cost_pico_usd, 0)), NOT is_done) AS in_flight_cost_pico_usd
FROM ${database}.request_subjects AS e
LEFT JOIN
(
    SELECT
        log_id,
        topic,
        partition,
        indexOf({partitions:Array(String)}, concat(log_id, ' ', topic, ' ', toString(partition))) AS given,
        if(given > 0, {positions:Array(Int64)}[given], max(end_offset)) AS position
    FROM ${database}.ingest_positions
    GROUP BY log_id, topic, partition
) AS d
    ON e.log_id = d.log_id AND e._topic = d.topic AND e._partition = d.partition
WHERE e.started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
    AND e.started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
GROUP BY kind, hour_s
SETTINGS select_sequential_consistency = 1
