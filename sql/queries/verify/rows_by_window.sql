-- Raw rows summed as a window sums them, for events that began in [low_us, high_us): those of
-- finished batches, and those of batches in flight.
-- A batch is finished when it ends at or before the position of its partition: the one given in
-- `positions` for its place in `partitions` (`log_id topic partition`), else the ledger's.
-- A partition without a finished batch has position 0: all of its rows are in flight.
WITH e._offset < d.position AS is_done
SELECT
    intDiv(toUnixTimestamp(e.started_at), {window_s:UInt32}) * {window_s:UInt32} AS window_start_s,
    countIf(is_done) AS done_events,
    sumIf(e.tokens, is_done) AS done_tokens,
    sumIf(toInt128(e.cost), is_done) AS done_cost_pico_usd,
    countIf(NOT is_done) AS in_flight_events,
    sumIf(e.tokens, NOT is_done) AS in_flight_tokens,
    sumIf(toInt128(e.cost), NOT is_done) AS in_flight_cost_pico_usd
FROM
(
    SELECT log_id, _topic, _partition, _offset, started_at,
        ifNull(input_tokens, 0) + ifNull(output_tokens, 0) AS tokens, ifNull(cost_pico_usd, 0) AS cost
    FROM ${database}.raw_requests
    WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, started_at, 0 AS tokens, 0 AS cost
    FROM ${database}.raw_evaluations
    WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, started_at, 0 AS tokens, 0 AS cost
    FROM ${database}.raw_feedback
    WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, started_at, 0 AS tokens, 0 AS cost
    FROM ${database}.raw_changes
    WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, started_at, 0 AS tokens, 0 AS cost
    FROM ${database}.raw_stats
    WHERE started_at >= fromUnixTimestamp64Micro({low_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({high_us:Int64}, 'UTC')
) AS e
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
GROUP BY window_start_s
SETTINGS select_sequential_consistency = 1
