-- Rows by batch, of events that began in [first_us, last_us]. Rows that no finished batch holds have
-- is_beyond = 1 and the batch before them as start_offset.
-- What does not fit into memory goes to disk: a check of any size runs in bounded memory.
SELECT
    e.log_id AS log_id,
    e._topic AS topic,
    e._partition AS partition,
    b.start_offset AS start_offset,
    e._offset >= b.end_offset AS is_beyond,
    countIf(e.is_dead = 0) AS raw_rows, -- with those that were taken out
    -- Only a batch with dead letters needs a set of its raw rows beside the set of all.
    if(
        any(b.dead_letters) > 0,
        uniqExactIf(place, e.is_dead = 0 AND b.dead_letters > 0),
        distinct - dead_distinct
    ) AS raw_distinct,
    countIf(e.is_dead = 1) AS dead_rows,
    uniqExactIf(place, e.is_dead = 1) AS dead_distinct,
    -- One number for the place inside the batch: sets of it take half the memory of pairs.
    uniqExact(bitOr(bitShiftLeft(toUInt64(e._offset - b.start_offset), 24), toUInt64(e._idx)) AS place)
        AS distinct,
    sum(toInt128(e.cost)) AS cost_pico_usd,
    countIf(e.version != '' AND e.version != b.price_version) AS repriced,
    countIf(e.is_void) AS voided,
    sumIf(toInt128(e.cost), e.is_void) AS voided_cost_pico_usd,
    min(e._offset) AS first_offset,
    max(e._offset) AS last_offset
FROM
(
    SELECT log_id, _topic, _partition, _offset, _idx, 0 AS is_dead, 0 AS is_void,
        ifNull(cost_pico_usd, 0) AS cost, price_version AS version
    FROM ${database}.raw_requests
    WHERE started_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
        AND fromUnixTimestamp64Micro({last_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, _idx, 0 AS is_dead, 0 AS is_void, 0 AS cost, '' AS version
    FROM ${database}.raw_evaluations
    WHERE started_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
        AND fromUnixTimestamp64Micro({last_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, _idx, 0 AS is_dead, 0 AS is_void, 0 AS cost, '' AS version
    FROM ${database}.raw_feedback
    WHERE started_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
        AND fromUnixTimestamp64Micro({last_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, _idx, 0 AS is_dead, 0 AS is_void, 0 AS cost, '' AS version
    FROM ${database}.raw_changes
    WHERE started_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
        AND fromUnixTimestamp64Micro({last_us:Int64}, 'UTC')
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, _idx, 0 AS is_dead, 0 AS is_void, 0 AS cost, '' AS version
    FROM ${database}.raw_stats
    WHERE started_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
        AND fromUnixTimestamp64Micro({last_us:Int64}, 'UTC')
    UNION ALL -- what was taken out answers for its place, except where its row is still there
    SELECT log_id, _topic, _partition, _offset, _idx, 0 AS is_dead, 1 AS is_void,
        ifNull(cost_pico_usd, 0) AS cost, price_version AS version
    FROM ${database}.voided_events
    WHERE started_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
        AND fromUnixTimestamp64Micro({last_us:Int64}, 'UTC')
        AND concat(log_id, ' ', _topic, ' ', toString(_partition), ' ', toString(_offset), ' ', toString(_idx))
            NOT IN {unfinished:Array(String)}
    UNION ALL
    SELECT log_id, _topic, _partition, _offset, _idx, 1 AS is_dead, 0 AS is_void, 0 AS cost, '' AS version
    FROM ${database}.dead_letters
) AS e
ASOF LEFT JOIN
(
    SELECT DISTINCT log_id, topic, partition, start_offset, end_offset, dead_letters, price_version
    FROM ${database}.ingest_positions
) AS b
    ON e.log_id = b.log_id AND e._topic = b.topic AND e._partition = b.partition
    AND e._offset >= b.start_offset
GROUP BY log_id, topic, partition, start_offset, is_beyond
SETTINGS max_bytes_before_external_group_by = 150000000, max_threads = 2, select_sequential_consistency = 1
